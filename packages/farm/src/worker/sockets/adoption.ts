import { constants } from 'node:os';
import {
  Interest,
  MAX_DESCRIPTORS_PER_MESSAGE,
  receiveDescriptors,
  sendDescriptors,
  terminateDescriptor,
  type ReceivedRecord,
} from '@roost/poller';
import {
  ACKNOWLEDGEMENT_BYTES,
  FLAG_COUNTED,
  FLAG_LIMITED,
  FLAG_RESERVED,
  HandOffRecord,
  writeAcknowledgement,
} from '../../link/hand-off-record.ts';
import { RowFlag } from '../rows/connection-table.ts';
import type { Core } from '../core.ts';
import { CloseCode } from '../../api/close-codes.ts';
import { TimeoutKind } from '../rows/timeouts.ts';

/** For records taken in one turn: a storm of hand-offs must not starve those that are connected. */
const MAX_TURN_MS = 1;
const NO_DESCRIPTORS = new Int32Array(0);
const { EAGAIN, EEXIST, ENOBUFS, ENOMEM } = constants.errno;
/** The acknowledgement was not taken, and may be later: the socket, or the kernel's memory, is full. */
const FOR_LATER = new Set([-EAGAIN, -ENOBUFS, -ENOMEM]);

/**
 * The worker's side of the hand-off: receives sockets, acknowledges them, and only then reads from them. When the
 * acknowledgement cannot be sent at once the batch waits for it, and no further one is received.
 */
export class Adoption {
  readonly #core: Core;
  readonly #socket: number;
  readonly #id: number;
  readonly #handle: (count: number) => void;
  readonly #record = new HandOffRecord();
  readonly #fds = new Int32Array(MAX_DESCRIPTORS_PER_MESSAGE);
  readonly #slots = new Int32Array(MAX_DESCRIPTORS_PER_MESSAGE);
  readonly #received: ReceivedRecord = { bytes: 0, count: 0, truncated: false };
  readonly #acknowledgement = Buffer.alloc(ACKNOWLEDGEMENT_BYTES);
  #isWaiting = false;

  /**
   * `socket` is the worker's end of the descriptor socket pair; `id` names it in the poller's events. `handle` is given the
   * number of entries that the poller has of new rows. Throws when the socket cannot be watched: without it a worker is
   * of no use.
   */
  constructor(core: Core, socket: number, id: number, handle: (count: number) => void) {
    this.#core = core;
    this.#socket = socket;
    this.#id = id;
    this.#handle = handle;
    this.#watch(Interest.readable);
  }

  /**
   * The socket is readable, or writable when an acknowledgement waits. Overwrites the poller's entries, and is therefore
   * called behind the last of them.
   */
  run(): void {
    if (this.#isWaiting && !this.#acknowledge()) return;
    const deadline = performance.now() + MAX_TURN_MS;
    do {
      const received = receiveDescriptors(this.#socket, this.#fds, this.#record.buffer, this.#received);
      if (received.bytes <= 0) {
        // The master is gone: the control link says so too, and ends this process.
        if (received.bytes === 0) this.#core.poller.unwatchDescriptor(this.#socket);
        return;
      }
      if (!this.#acknowledge()) return;
    } while (performance.now() < deadline);
  }

  /** Sends the acknowledgement of the batch in hand, then adopts it. False when it must wait. */
  #acknowledge(): boolean {
    const { poller } = this.#core;
    writeAcknowledgement(this.#acknowledgement, this.#record.batch, this.#received.count);
    const outcome = sendDescriptors(this.#socket, NO_DESCRIPTORS, 0, this.#acknowledgement);
    if (FOR_LATER.has(outcome)) {
      if (!this.#isWaiting) this.#watch(Interest.writable);
      this.#isWaiting = true;
      return false;
    }
    if (this.#isWaiting) this.#watch(Interest.readable);
    this.#isWaiting = false;
    if (outcome < 0) {
      // The master is gone and will give these to nobody else: they end with this process.
      poller.unwatchDescriptor(this.#socket);
      return false;
    }
    this.#adopt();
    return true;
  }

  #watch(interest: number): void {
    const outcome = this.#core.poller.watchDescriptor(this.#socket, this.#id, interest);
    if (outcome === 0) return;
    this.#core.counters.add('watch_errors');
    throw new Error(`The descriptor socket cannot be watched: epoll_ctl(2) failed with errno ${-outcome}.`);
  }

  #adopt(): void {
    const { table, timeouts, poller, lifecycle, preface, counters, log } = this.#core;
    const record = this.#record;
    let count = 0;
    for (let index = 0; index < this.#received.count; index++) {
      const fd = this.#fds[index] ?? -1;
      const number = record.connectionNumber(index);
      const slot = table.allocate(fd, number, record.buffer, record.addressOffset(index));
      if (slot === -1) {
        // The master knows our capacity: this is a bug of ours, but no reason to leak a descriptor.
        log.error({ capacity: table.capacity }, 'connection table is full');
        terminateDescriptor(fd);
        continue;
      }
      const flags = record.flags(index);
      if (flags !== 0) table.setFlag(slot, rowFlags(flags));
      if (!preface.begin(slot)) continue;
      timeouts.set(slot, TimeoutKind.handshake);
      this.#slots[count++] = slot;
    }
    // The request mostly came with the socket: it is answered before the row is in the epoll set.
    this.#handle(poller.receiveNew(this.#slots, count));
    if (poller.watchNew(this.#slots, count) === 0) return;
    // Some could not be watched (ENOSPC: fs.epoll.max_user_watches). Asked again, the others say that they are.
    for (const slot of this.#slots.subarray(0, count)) {
      if (table.fds[slot] === -1) continue;
      const outcome = poller.watch(slot, Interest.readable);
      if (outcome === 0 || outcome === -EEXIST) continue;
      counters.add('watch_errors');
      log.error({ errno: -outcome }, 'socket could not be watched');
      lifecycle.finish(slot, CloseCode.abnormal, '');
    }
  }
}

/** What the master says of a socket, as flags of its row. */
function rowFlags(flags: number): number {
  return (
    ((flags & FLAG_RESERVED) !== 0 ? RowFlag.reserved : 0) |
    ((flags & FLAG_LIMITED) !== 0 ? RowFlag.limited : 0) |
    ((flags & FLAG_COUNTED) !== 0 ? RowFlag.counted : 0)
  );
}
