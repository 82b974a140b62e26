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
  HandOffKind,
  HandOffRecord,
  writeAcknowledgement,
} from '../../link/hand-off-record.ts';
import { CloseCode } from '../../api/close-codes.ts';
import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import { RowFlag, type ConnectionTable } from '../rows/connection-table.ts';
import type { Rows } from '../rows/rows.ts';
import type { PollEvents } from './poll-events.ts';
import type { SocketHandlers } from './socket-handlers.ts';

/** In the poller's events, the descriptor socket. */
const DESCRIPTOR_ID = 0;
/** For records taken in one run: a storm of hand-offs must not starve those that are connected. */
const MAX_RUN_MS = 1;
const NO_DESCRIPTORS = new Int32Array(0);
const { EAGAIN, EEXIST, ENOBUFS, ENOMEM } = constants.errno;
/** The acknowledgement was not taken, and may be later: the socket, or the kernel's memory, is full. */
const FOR_LATER = new Set([-EAGAIN, -ENOBUFS, -ENOMEM]);

export interface AdoptionParts {
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly events: PollEvents;
  readonly handlers: SocketHandlers;
  readonly counters: Counters;
  readonly log: Log;
  /** An end of the pair of a move, which is the receiver's; −1: it could not be received. */
  readonly onPair: (move: number, fd: number) => void;
}

/**
 * The worker's side of the hand-off: receives sockets, acknowledges them, and only then reads from them. When the
 * acknowledgement cannot be sent at once the batch waits for it, and no further one is received.
 */
export class Adoption {
  readonly #table: ConnectionTable;
  readonly #rows: Rows;
  readonly #events: PollEvents;
  readonly #handlers: SocketHandlers;
  readonly #counters: Counters;
  readonly #log: Log;
  readonly #socket: number;
  readonly #onPair: AdoptionParts['onPair'];
  readonly #record = new HandOffRecord();
  readonly #fds = new Int32Array(MAX_DESCRIPTORS_PER_MESSAGE);
  readonly #slots = new Int32Array(MAX_DESCRIPTORS_PER_MESSAGE);
  readonly #received: ReceivedRecord = { bytes: 0, count: 0, truncated: false };
  readonly #acknowledgement = Buffer.alloc(ACKNOWLEDGEMENT_BYTES);
  #isWaiting = false;

  /**
   * `socket` is the worker's end of the descriptor socket pair. Throws when it cannot be watched: without it a worker is of
   * no use.
   */
  constructor(parts: AdoptionParts, socket: number) {
    this.#table = parts.table;
    this.#rows = parts.rows;
    this.#events = parts.events;
    this.#handlers = parts.handlers;
    this.#counters = parts.counters;
    this.#log = parts.log;
    this.#socket = socket;
    this.#onPair = parts.onPair;
    this.#watch(Interest.readable);
  }

  /**
   * The socket is readable, or writable when an acknowledgement waits. Overwrites the poller's entries, and is therefore
   * called behind the last of them.
   */
  run(): void {
    if (this.#isWaiting && !this.#acknowledge()) return;
    const deadline = performance.now() + MAX_RUN_MS;
    do {
      const received = receiveDescriptors(this.#socket, this.#fds, this.#record.buffer, this.#received);
      if (received.bytes <= 0) {
        // The master is gone: the control link says so too, and ends this process.
        if (received.bytes === 0) this.#events.poller.unwatchDescriptor(this.#socket);
        return;
      }
      if (this.#record.kind === HandOffKind.movePair) {
        this.#onPair(this.#record.batch, received.count === 1 ? (this.#fds[0] ?? -1) : -1);
        continue;
      }
      if (!this.#acknowledge()) return;
    } while (performance.now() < deadline);
  }

  /** Sends the acknowledgement of the batch in hand, then adopts it. False when it must wait. */
  #acknowledge(): boolean {
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
      this.#events.poller.unwatchDescriptor(this.#socket);
      return false;
    }
    this.#adopt();
    return true;
  }

  #watch(interest: number): void {
    const outcome = this.#events.poller.watchDescriptor(this.#socket, DESCRIPTOR_ID, interest);
    if (outcome === 0) return;
    this.#counters.add('watch_errors');
    throw new Error(`The descriptor socket cannot be watched: epoll_ctl(2) failed with errno ${-outcome}.`);
  }

  #adopt(): void {
    const table = this.#table;
    const { poller } = this.#events;
    const record = this.#record;
    let count = 0;
    for (let index = 0; index < this.#received.count; index++) {
      const fd = this.#fds[index] ?? -1;
      const number = record.connectionNumber(index);
      const slot = table.allocate(fd, number, record.buffer, record.addressOffset(index));
      if (slot === -1) {
        // The master knows our capacity: this is a bug of ours, but no reason to leak a descriptor.
        this.#log.error({ capacity: table.capacity }, 'connection table is full');
        terminateDescriptor(fd);
        continue;
      }
      const flags = record.flags(index);
      if (flags !== 0) table.setFlag(slot, rowFlags(flags));
      if (!this.#handlers.socketOnNew(slot)) continue;
      this.#slots[count++] = slot;
    }
    // The request mostly came with the socket: it is answered before the row is in the epoll set.
    this.#events.read(poller.receiveNew(this.#slots, count));
    for (let index = 0; index < count; index++) this.#handlers.socketOnAdopted(this.#slots[index] ?? 0);
    if (poller.watchNew(this.#slots, count) === 0) return;
    // Some could not be watched (ENOSPC: fs.epoll.max_user_watches). Asked again, the others say that they are.
    for (const slot of this.#slots.subarray(0, count)) {
      if (table.fds[slot] === -1) continue;
      const outcome = poller.watch(slot, Interest.readable);
      if (outcome === 0 || outcome === -EEXIST) continue;
      this.#counters.add('watch_errors');
      this.#log.error({ errno: -outcome }, 'socket could not be watched');
      this.#rows.end(slot, CloseCode.abnormal, '');
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
