import { loadAddon } from '../../native/addon.mjs';
import { LoadError } from '../errors.ts';

/** Fields of an event: tag, generation, flags, offset into the slab, length (or an errno). */
export const EVENT_FIELDS = 5;
/** What an event tells; several at once are added. */
export const EventFlag = { data: 1, end: 2, error: 4 } as const;

interface StackOptions {
  /** Of the TUN device, which must be up, in the network namespace of this process. */
  readonly device: string;
  /** IPv4. */
  readonly server: string;
  readonly port: number;
  /** The clients have this address and those behind it, 60,000 ports of each. */
  readonly firstAddress: string;
  /** Most connections at a time, with those whose end is not finished. */
  readonly capacity: number;
  /** First retransmission time; it doubles each time. */
  readonly retransmitMs: number;
  /** Packets of a million that are lost in each direction; as many come twice, and as many late. */
  readonly disturbedPerMillion: number;
  /** By tag, which must be below its length: read at the time of an event. */
  readonly generations: Int32Array;
  readonly slab: Uint8Array;
  readonly events: Int32Array;
}

interface StackCounters {
  /** Segments that were sent again, that came again, or came too early. */
  readonly resent: number;
  readonly repeated: number;
  readonly early: number;
  /** That belong to no connection. */
  readonly stray: number;
  /** Packets that the kernel did not take. */
  readonly refused: number;
}

/** TCP connections in user space over one TUN device; native/tcp.h says what they can. Calls with an unknown id do nothing. */
export interface NativeStack {
  /** Set by the owner: how many events there are. The slab is overwritten after the call. */
  onEvents: (count: number) => void;
  /** Begins to connect; the request follows as soon as the server has answered. An id, or -1 when there is none. */
  open(tag: number, request: Uint8Array): number;
  /** False: the server has not answered yet, the connection is gone, or it was shut down. */
  send(id: number, bytes: Uint8Array): boolean;
  shutDown(id: number): void;
  close(id: number): void;
  reset(id: number): void;
  pause(id: number): void;
  resume(id: number): void;
  /** Bytes that the server has not acknowledged. */
  unacknowledged(id: number): number;
  counters(): StackCounters;
  destroy(): void;
}

export interface NativePhantom {
  createStack(options: StackOptions): NativeStack;
  /** The main thread goes before others (SCHED_FIFO). 0 or -errno. */
  preferThread(): number;
}

let loaded: NativePhantom | undefined;

/** The addon, compiled and loaded at its first use. Throws LOAD_ERR_PHANTOM with what to install. */
export function native(): NativePhantom {
  try {
    loaded ??= loadAddon();
  } catch (cause) {
    throw new LoadError('LOAD_ERR_PHANTOM', cause instanceof Error ? cause.message : String(cause), {
      cause,
    });
  }
  return loaded;
}
