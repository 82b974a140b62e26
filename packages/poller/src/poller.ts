import { markAsUntransferable } from 'node:worker_threads';
import type { BroadcastWalk } from './broadcast-walk.ts';
import { EVENT_FIELDS } from './constants.ts';
import { native, type NativePoller } from './native.ts';

/**
 * The columns of the caller's connection table that the addon reads, one element a slot, all of one length.
 * The addon keeps references to their memory: they must never be detached or resized. Transferring one copies it instead.
 */
export interface PollerColumns {
  /** The descriptor of each slot; -1 when it has none. Written by the caller; {@link Poller.close} sets -1. */
  readonly fds: Int32Array;
  /** Changes every time a slot is given to another connection. An event of an older one is never reported. */
  readonly generations: Int32Array;
  /** Read by {@link Poller.broadcast} only. */
  readonly flags: Uint16Array;
}

export interface PollerOptions {
  readonly columns: PollerColumns;
  /**
   * Called once a wake-up with the number of entries in {@link Poller.events}; microtasks and process.nextTick run
   * before the next one. What it throws becomes an 'uncaughtException', and the rest of its batch is lost.
   */
  readonly onEvents: (count: number) => void;
  /** Bytes received per wake-up, all rows together. Default 65,536; 4,096 to 16 Mi. */
  readonly slabBytes?: number;
  /**
   * Bytes received per row and wake-up while other rows wait. Default 4,096; 1 to slabBytes. When few rows are ready
   * they share the slab equally, so that one which is busy alone gets all of it.
   */
  readonly rowBytes?: number;
  /** Descriptors asked of one epoll_wait(2), and entries of a batch. Default 1,024; 2 to 65,536. */
  readonly maxEvents?: number;
  /** {@link Poller.broadcast} sends to a row when `(flags & sendableMask) === sendableValue`. Default 0 and 0: to all. */
  readonly sendableMask?: number;
  readonly sendableValue?: number;
}

/**
 * One epoll set, seen by Node's event loop through a single uv_poll_t.
 *
 * A wake-up calls epoll_wait(2) once, recv(2) once for each ready row into the shared {@link slab}, and then
 * {@link PollerOptions.onEvents} once. It is bounded in bytes as well as in rows; ready rows that did not fit are
 * kept and served first by the next wake-up, with half of the slab. The other half is for rows that send little: they
 * need not wait until every busy row was served. A row has at most one entry with data in a batch, and perhaps one
 * before it that reports that it is writable. Entries stay valid until `onEvents` returns.
 *
 * The caller owns the descriptors in its columns: the poller closes only what {@link Poller.close} names. Several pollers,
 * also in several threads, do not know of each other. While it is open a poller keeps the process alive.
 *
 * Calls that name a slot use the descriptor and generation that its columns hold at that moment. A watched row whose
 * generation is changed reports nothing more, but still wakes the loop: unwatch or close it first. Calls that can fail
 * for reasons of the outside world answer with -errno (see `os.constants.errno`); wrong arguments throw a TypeError,
 * and every call but destroy() throws an Error with the code POLLER_DESTROYED after destroy().
 */
export class Poller {
  /** Received bytes, overwritten by every wake-up. */
  readonly slab: Buffer;
  /** Entries of {@link EVENT_FIELDS} fields each; see PollFlag. Reused by every wake-up. */
  readonly events: Int32Array;
  /**
   * Bytes that the rows have received since the start, and then those that they were sent, by {@link send} and
   * {@link broadcast}: exact up to 2^53. Written by the addon while it works, so that nobody needs to add them up.
   */
  readonly movedBytes = new Float64Array(2);
  readonly #native: NativePoller;

  constructor(options: PollerOptions) {
    const { columns, slabBytes = 64 * 1024, rowBytes = 4096, maxEvents = 1024 } = options;
    this.slab = Buffer.allocUnsafeSlow(slabBytes);
    this.events = new Int32Array(maxEvents * EVENT_FIELDS);
    // The addon writes to this memory: postMessage() and structuredClone() must copy it rather than take it away.
    for (const view of [
      columns.fds,
      columns.generations,
      columns.flags,
      this.slab,
      this.events,
      this.movedBytes,
    ]) {
      markAsUntransferable(view.buffer);
    }
    this.#native = native().createPoller({
      fds: columns.fds,
      generations: columns.generations,
      flags: columns.flags,
      slab: this.slab,
      events: this.events,
      movedBytes: this.movedBytes,
      rowBytes,
      sendableMask: options.sendableMask ?? 0,
      sendableValue: options.sendableValue ?? 0,
      onEvents: options.onEvents,
    });
  }

  /** Adds a row to the set. `interest` as in Interest. 0 or -errno (-EEXIST: it is watched already). */
  watch(slot: number, interest: number): number {
    return this.#native.watch(slot, interest);
  }

  /**
   * Takes over `count` rows, the first elements of `slots`, whose first bytes may have come already, and calls recv(2)
   * once for each, as far as the slab goes: a connection whose request is here need not wait for the epoll set.
   * Answers the number of entries in {@link events}, as `onEvents` does, and overwrites those of the batch: call it behind
   * the last of them. The rows are not in the set until {@link watchNew}, or setInterest.
   */
  receiveNew(slots: Int32Array, count: number): number {
    return this.#native.receiveNew(slots, count);
  }

  /**
   * Adds those of the rows to the set, for reading, that {@link receiveNew} took over and that were not closed, unwatched
   * or given another interest since. Answers how many could not be added (0 when all is well): `watch` has the reason.
   */
  watchNew(slots: Int32Array, count: number): number {
    return this.#native.watchNew(slots, count);
  }

  /**
   * Changes what a watched row reports; with Interest.paused it pauses, and any other resumes, also after an end or an
   * error was reported. 0 or -errno (-ENOENT: it is not watched).
   */
  setInterest(slot: number, interest: number): number {
    return this.#native.setInterest(slot, interest);
  }

  /** Takes a row out of the set and forgets what was pending for it. The descriptor stays open. 0 or -errno. */
  unwatch(slot: number): number {
    return this.#native.unwatch(slot);
  }

  /** One send(2) of `length` bytes of `bytes` from `offset`. Bytes taken by the kernel (0 when it is full), or -errno. */
  send(slot: number, bytes: Uint8Array, offset: number, length: number): number {
    return this.#native.send(slot, bytes, offset, length);
  }

  /**
   * One message to many rows, one send(2) each: see {@link BroadcastWalk}. A row may be sent to when its flags are as
   * {@link PollerOptions.sendableMask} says. The clock is read every 32 sends, so that many are always sent. Answers the
   * index at which to go on.
   */
  broadcast(walk: BroadcastWalk, budgetMicros: number): number {
    const { members, from, to, results, formMask, exceptSlot, forms } = walk;
    return this.#native.broadcast(members, from, to, budgetMicros, results, formMask, exceptSlot, ...forms);
  }

  /** Ends a row for good: EPOLL_CTL_DEL, shutdown(SHUT_RDWR), close(2), `fds[slot] = -1`. See `closeDescriptor`. */
  close(slot: number): void {
    this.#native.close(slot);
  }

  /** Sends FIN and keeps reading: shutdown(SHUT_WR). 0 or -errno. */
  shutdownWrite(slot: number): number {
    return this.#native.shutdownWrite(slot);
  }

  /**
   * Watches a listener or a descriptor channel; entries carry `id` (any int32) and PollFlag.descriptor. For one that is
   * watched already it changes id and interest, which is not 0. 0 or -errno.
   */
  watchDescriptor(fd: number, id: number, interest: number): number {
    return this.#native.watchDescriptor(fd, id, interest);
  }

  /** Stops watching; also how a listener is paused (EPOLL_CTL_DEL). The descriptor stays open. 0 or -errno. */
  unwatchDescriptor(fd: number): number {
    return this.#native.unwatchDescriptor(fd);
  }

  /** Ends the poller itself. The rows' descriptors stay open and are the caller's. Calling it twice is safe. */
  destroy(): void {
    this.#native.destroy();
  }
}
