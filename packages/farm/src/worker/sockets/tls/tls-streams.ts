import { constants } from 'node:os';
import type { SecureContext } from 'node:tls';
import { BROADCAST_SKIPPED, terminateDescriptor, type BroadcastWalk, type Poller } from '@roost/poller';
import type { Counters } from '../../../api/counters.ts';
import type { Log } from '../../../api/log.ts';
import type { TlsCredentials } from '../../../link/tls-credentials.ts';
import type { Clock } from '../../rows/clock.ts';
import { RowFlag, type ConnectionTable } from '../../rows/connection-table.ts';
import { detachDescriptor, duplicateOf, type Streams } from '../descriptor-streams.ts';
import type { SocketHandlers } from '../socket-handlers.ts';
import type { Sockets } from '../sockets.ts';
import { FairReading } from './fair-reading.ts';
import { secureContext } from './tls-context.ts';
import { TlsSocket, type TlsSocketHandlers } from './tls-socket.ts';

/** Encrypting and sending costs a hundred times what reading the clock does. */
const WRITES_PER_CLOCK_READ = 8;
const POISON = 0xdb;
/** As in {@link Poller.movedBytes}. */
const RECEIVED = 0;
const SENT = 1;

/** What becomes of the TLS handshakes that {@link TlsStreams.secure} has begun. */
export interface TlsHandshakeHandlers {
  /** The handshake of a row is complete: what comes next from its socket is decrypted. */
  tlsOnSecured(slot: number): void;
  /** A handshake is under way no longer, whatever became of it. */
  tlsOnHandshakeEnd(owner: string): void;
}

export interface TlsStreamsParts {
  readonly table: ConnectionTable;
  readonly poller: Poller;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly log: Log;
}

/**
 * What moves the bytes of rows whose port speaks TLS: a Node stream per row, from its ClientHello on, and the poller before.
 *
 * To those who send, a stream behaves as the kernel does elsewhere: it takes bytes up to its high-water mark, reports that
 * it is full, and reports when it has room again. What waits beyond is the row's outbound queue, with its bounds and its
 * policy. A connection over TLS has objects of Node and OpenSSL as long as it lives: it never hibernates.
 */
export class TlsStreams implements Sockets, Streams, TlsSocketHandlers {
  readonly #table: ConnectionTable;
  readonly #poller: Poller;
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #log: Log;
  readonly #poison: boolean;
  readonly #bySlot = new Map<number, TlsSocket>();
  readonly #reading = new FairReading();
  #context: SecureContext;
  #handlers!: SocketHandlers;
  #handshakes!: TlsHandshakeHandlers;

  /** `poison` overwrites received bytes once they are handled, so that tests see who keeps views of them. */
  constructor(
    { table, poller, clock, counters, log }: TlsStreamsParts,
    credentials: TlsCredentials,
    { poison }: { readonly poison: boolean },
  ) {
    this.#table = table;
    this.#poller = poller;
    this.#clock = clock;
    this.#counters = counters;
    this.#log = log;
    this.#poison = poison;
    this.#context = secureContext(credentials);
  }

  /** Given once, before the first row. */
  connect(handlers: SocketHandlers, handshakes: TlsHandshakeHandlers): void {
    this.#handlers = handlers;
    this.#handshakes = handshakes;
  }

  /** New connections are served with these. */
  use(credentials: TlsCredentials): void {
    this.#context = secureContext(credentials);
  }

  /** Begins the TLS handshake of a row with its first bytes. It counts for `owner` until it has ended. */
  secure(slot: number, hello: Buffer, owner: string): void {
    const row = { slot, generation: this.#table.generation(slot), owner };
    const fd = detachDescriptor(this.#table, this.#poller, slot);
    this.#bySlot.set(slot, new TlsSocket(fd, hello, row, this.#context, this));
  }

  // Streams

  lend(slot: number): TlsSocket {
    const socket = this.#bySlot.get(slot);
    if (socket === undefined) throw new Error('A row without a TLS stream cannot lend one.');
    socket.unlisten();
    return socket;
  }

  takeBack(slot: number): boolean {
    const socket = this.#bySlot.get(slot);
    if (socket === undefined) return false;
    socket.listen();
    socket.resume();
    return true;
  }

  // Sockets

  send(slot: number, bytes: Uint8Array, offset: number, length: number): number {
    const socket = this.#bySlot.get(slot);
    if (socket === undefined) return this.#poller.send(slot, bytes, offset, length);
    // The stream may keep what it is given, and the caller may not.
    const taken = Math.min(length, roomOf(socket));
    if (taken <= 0) return taken;
    socket.write(Buffer.from(bytes.subarray(offset, offset + taken)));
    this.#moved(SENT, taken);
    return taken;
  }

  /** As the poller does; the one frame is shared by all streams. */
  broadcast(walk: BroadcastWalk, budgetMicros: number): number {
    const { flags } = this.#table;
    const endsAt = performance.now() + budgetMicros / 1000;
    const { members, to } = walk;
    let writes = 0;
    let index = walk.from;
    walk.begin();
    while (index < to && walk.hasRoom) {
      const slot = members[index++] ?? -1;
      const bits = flags[slot] ?? 0;
      const form = walk.formOf(slot, bits);
      if (form === undefined) continue;
      const isSendable = (bits & RowFlag.sendable) !== 0;
      walk.record(slot, isSendable ? this.#writeFrame(slot, form) : BROADCAST_SKIPPED, form.length);
      if (isSendable && ++writes % WRITES_PER_CLOCK_READ === 0 && performance.now() >= endsAt) break;
    }
    return index;
  }

  setInterest(slot: number, interest: number): number {
    const socket = this.#bySlot.get(slot);
    if (socket === undefined) return this.#poller.setInterest(slot, interest);
    const isResumed = socket.setInterest(interest);
    if (isResumed && socket.readableEnded) setImmediate(() => this.#lost(socket));
    return 0;
  }

  /** close_notify and FIN, behind what the stream still holds. */
  shutdownWrite(slot: number): number {
    const socket = this.#bySlot.get(slot);
    if (socket === undefined) return this.#poller.shutdownWrite(slot);
    socket.end();
    return 0;
  }

  close(slot: number): void {
    const socket = this.#bySlot.get(slot);
    if (socket === undefined) {
      this.#poller.close(slot);
      return;
    }
    this.#bySlot.delete(slot);
    this.#reading.remove(socket);
    // A copy of the descriptor in another process does not keep the client from its FIN.
    const copy = duplicateOf(socket);
    if (copy >= 0) terminateDescriptor(copy);
    socket.destroy();
  }

  // TlsSocketHandlers

  tlsOnSecure(socket: TlsSocket): void {
    this.#handshakes.tlsOnHandshakeEnd(socket.owner);
    this.#counters.add('tls_handshakes');
    if (socket.isSessionReused()) this.#counters.add('tls_resumptions');
    if (this.#isCurrent(socket)) this.#handshakes.tlsOnSecured(socket.slot);
  }

  tlsOnData(socket: TlsSocket, bytes: Buffer): void {
    if (!this.#isCurrent(socket)) return;
    // What came before the pause took effect is kept with the row; what comes now waits in the stream.
    if (socket.isRowPaused) socket.pause();
    else if (!this.#reading.admits(socket, bytes)) return;
    this.#moved(RECEIVED, bytes.length);
    this.#clock.refresh();
    this.#handlers.socketOnBytes(socket.slot, bytes, 0, bytes.length);
    if (this.#poison) bytes.fill(POISON);
  }

  tlsOnEnd(socket: TlsSocket): void {
    if (!this.#isCurrent(socket)) return;
    if (!socket.isSecure) this.#countFailure(socket);
    // The hook that decides on an upgrade learns of it; what the client sent before is read if it is let in.
    if (socket.isRowPaused) this.#handlers.socketOnHalfClose(socket.slot);
    else this.#lost(socket);
  }

  tlsOnDrain(socket: TlsSocket): void {
    if (socket.hasQueue && this.#isCurrent(socket)) this.#handlers.socketOnWritable(socket.slot);
  }

  tlsOnFinish(socket: TlsSocket): void {
    if (this.#isCurrent(socket)) this.#handlers.socketOnFlushed(socket.slot);
  }

  tlsOnClose(socket: TlsSocket): void {
    if (!socket.isSecure) {
      this.#handshakes.tlsOnHandshakeEnd(socket.owner);
      if (this.#isCurrent(socket)) this.#countFailure(socket);
    }
    this.#lost(socket);
  }

  /** Counted where the poller counts: whoever reads it need not know what moves the bytes. */
  #moved(direction: typeof RECEIVED | typeof SENT, bytes: number): void {
    const { movedBytes } = this.#poller;
    movedBytes[direction] = (movedBytes[direction] ?? 0) + bytes;
  }

  #countFailure(socket: TlsSocket): void {
    const failure = socket.failure === '' ? 'the client went away' : socket.failure;
    this.#counters.add('tls_handshakes_failed');
    this.#log.debug({ client: this.#table.address(socket.slot), failure }, 'TLS handshake failed');
  }

  #lost(socket: TlsSocket): void {
    if (this.#isCurrent(socket)) this.#handlers.socketOnLost(socket.slot);
  }

  #isCurrent({ slot, generation }: TlsSocket): boolean {
    return this.#table.isCurrent(slot, generation);
  }

  /** One write of a frame that nobody changes. */
  #writeFrame(slot: number, frame: Uint8Array): number {
    const socket = this.#bySlot.get(slot);
    if (socket === undefined) return -constants.errno.EBADF;
    const taken = Math.min(frame.length, roomOf(socket));
    if (taken <= 0) return taken;
    socket.write(taken === frame.length ? frame : frame.subarray(0, taken));
    this.#moved(SENT, taken);
    return taken;
  }
}

/** Bytes that a stream takes now. It emits 'drain' after it has taken the last of them. */
function roomOf(socket: TlsSocket): number {
  if (!socket.writable) return -constants.errno.EPIPE;
  return Math.max(0, socket.writableHighWaterMark - socket.writableLength);
}
