import { loadAddon } from '../native/addon.mjs';
import type { ListenOptions } from './listen-options.ts';

/**
 * The addon's own instance; see Poller for what the calls mean. What is called for every message takes its arguments flat:
 * the addon reads a field of an object several times slower than an argument.
 */
export interface NativePoller {
  watch(slot: number, interest: number): number;
  receiveNew(slots: Int32Array, count: number): number;
  watchNew(slots: Int32Array, count: number): number;
  setInterest(slot: number, interest: number): number;
  unwatch(slot: number): number;
  send(slot: number, bytes: Uint8Array, offset: number, length: number): number;
  broadcast(
    members: Int32Array,
    from: number,
    to: number,
    budgetMicros: number,
    results: Int32Array,
    formMask: number,
    exceptSlot: number,
    ...forms: Uint8Array[]
  ): number;
  close(slot: number): void;
  shutdownWrite(slot: number): number;
  watchDescriptor(fd: number, id: number, interest: number): number;
  unwatchDescriptor(fd: number): number;
  destroy(): void;
}

/** What a poller is made of: the memory that it shares, and PollerOptions without defaults. */
interface NativePollerOptions {
  readonly fds: Int32Array;
  readonly generations: Int32Array;
  readonly flags: Uint16Array;
  readonly slab: Uint8Array;
  readonly events: Int32Array;
  readonly movedBytes: Float64Array;
  readonly rowBytes: number;
  readonly sendableMask: number;
  readonly sendableValue: number;
  readonly onEvents: (count: number) => void;
}

/** What `receiveDescriptors` answers. */
export interface ReceivedRecord {
  /** Bytes of the record; 0 when the other side is gone; -errno (-EAGAIN: nothing there). */
  bytes: number;
  /** Descriptors that arrived, close-on-exec, now the caller's. */
  count: number;
  /**
   * MSG_CTRUNC or MSG_TRUNC: descriptors beyond `count` were closed by the kernel (this process is at its limit, or
   * `fds` is too short), or bytes beyond `bytes` were dropped (`record` is too short).
   */
  truncated: boolean;
}

/** What the addon exports, by the source that it is in; the file of the same name here says what the calls mean. */
export interface Native {
  // native/poller.cc
  createPoller(options: NativePollerOptions): NativePoller;
  // native/sockets.cc
  listen(options: Required<ListenOptions>): number;
  localAddress(fd: number): { readonly address: string; readonly port: number };
  accept(listener: number, fds: Int32Array, addresses: Uint8Array): number;
  connect(host: string, port: number, sourceAddress: string, sourcePort: number): number;
  socketError(fd: number): number;
  outstandingBytes(fd: number): number;
  unreadBytes(fd: number): number;
  peerUser(fd: number): number;
  // native/descriptors.cc
  descriptorPair(): [number, number];
  sendDescriptors(channel: number, fds: Int32Array, count: number, record: Uint8Array): number;
  receiveDescriptors(
    channel: number,
    fds: Int32Array,
    record: Uint8Array,
    result: ReceivedRecord,
  ): ReceivedRecord;
  closeDescriptor(fd: number): void;
  closeDescriptors(fds: Int32Array, count: number): void;
  terminateDescriptor(fd: number): void;
  resetDescriptor(fd: number): void;
  duplicateDescriptor(fd: number): number;
  setCloseOnExec(fd: number): number;
  // native/handshake.cc
  readPlainHandshake(
    bytes: Uint8Array,
    start: number,
    end: number,
    fields: Int32Array,
    accept: Uint8Array,
  ): number;
  // native/tcp-info.cc
  tcpInfo(fds: Int32Array, count: number, fields: Float64Array): number;
  streamPositions(fd: number, positions: Float64Array): number;
  // native/sealed-file.cc
  makeSealedFile(bytes: Uint8Array): number;
  sealedFileBytes(fd: number): number;
  readSealedFile(fd: number, target: Uint8Array): number;
  // native/process.cc
  pinThread(cpu: number): number;
  signalOnParentDeath(signal: number): number;
  trimMemory(): number;
  releaseFilePages(): number;
  // native/stacks.cc
  answerStackRequests(channel: number): number;
}

/** The addon is not there: no binary for this machine loads, or this is not Linux. The message says what to do. */
export class PollerUnavailableError extends Error {
  readonly code = 'POLLER_UNAVAILABLE';
}

let loaded: Native | undefined;

/** The addon, loaded at its first use, so that importing this package is free and `--help` works without it. */
export function native(): Native {
  loaded ??= load();
  return loaded;
}

function load(): Native {
  const { addon, problem, cause } = loadAddon();
  if (addon === undefined) throw new PollerUnavailableError(problem, cause === undefined ? {} : { cause });
  return addon;
}
