import { EVENT_FIELDS, Poller, PollFlag } from '@roost/poller';
import type { Clock } from '../rows/clock.ts';
import { RowFlag, type ConnectionTable } from '../rows/connection-table.ts';
import type { SocketHandlers } from './socket-handlers.ts';

const POISON = 0xdb;
/** After so many events nobody notices one system call more. */
const MANY_EVENTS = 64;
const GONE = PollFlag.error | PollFlag.hangup;

/**
 * The events of the poller, reported to the handlers. Every entry is checked against its row's generation before it is
 * reported: what was handled before it in the batch may have ended the row.
 */
export class PollEvents {
  readonly poller: Poller;
  readonly #table: ConnectionTable;
  readonly #clock: Clock;
  readonly #poisonSlab: boolean;
  #handlers!: SocketHandlers;
  #adoption: { run(): void } | undefined;
  /** What watched descriptors other than the hand-off's are told to, by their ids. */
  readonly #listeners = new Map<number, () => void>();
  #lastId = 0;

  /** `poisonSlab` overwrites received bytes after each batch. */
  constructor(table: ConnectionTable, clock: Clock, { poisonSlab }: { readonly poisonSlab: boolean }) {
    this.#table = table;
    this.#clock = clock;
    this.#poisonSlab = poisonSlab;
    this.poller = new Poller({
      columns: { fds: table.fds, generations: table.generations, flags: table.flags },
      sendableMask: RowFlag.sendable,
      sendableValue: RowFlag.sendable,
      onEvents: (count) => this.#handle(count),
    });
  }

  /** Given once, before the first row. */
  connect(handlers: SocketHandlers): void {
    this.#handlers = handlers;
  }

  /** From here on sockets are adopted. */
  adopt(adoption: { run(): void }): void {
    this.#adoption = adoption;
  }

  /** An id for the poller's watchDescriptor: `onReadable` is called behind a batch in which it was reported. */
  listen(onReadable: () => void): number {
    const id = ++this.#lastId;
    this.#listeners.set(id, onReadable);
    return id;
  }

  forget(id: number): void {
    this.#listeners.delete(id);
  }

  #handle(count: number): void {
    // Slots freed before this batch may be given out again; those freed in it must wait for the next.
    this.#table.settle();
    this.#clock.refresh();
    const hasAdoptions = this.read(count);
    // epoll goes round the descriptors: behind all the rows of a proxy that died, a hand-off would wait for its place, and
    // again after every few records, until the master took this worker for dead.
    if (!hasAdoptions && count < MANY_EVENTS) return;
    this.#adoption?.run();
    for (const onReadable of this.#listeners.values()) onReadable();
  }

  /** Reports the entries that the poller has now. True when sockets wait to be adopted. */
  read(count: number): boolean {
    const table = this.#table;
    const handlers = this.#handlers;
    const { events, slab } = this.poller;
    let hasAdoptions = false;
    for (let at = 0; at < count * EVENT_FIELDS; at += EVENT_FIELDS) {
      const slot = events[at] ?? 0;
      const flags = events[at + 2] ?? 0;
      if ((flags & PollFlag.descriptor) !== 0) {
        hasAdoptions = true;
        continue;
      }
      const generation = events[at + 1] ?? 0;
      if (!table.isCurrent(slot, generation)) continue;
      if ((flags & PollFlag.writable) !== 0) {
        handlers.socketOnWritable(slot);
        if (!table.isCurrent(slot, generation)) continue;
      }
      if ((flags & PollFlag.data) !== 0) {
        const offset = events[at + 3] ?? 0;
        handlers.socketOnBytes(slot, slab, offset, offset + (events[at + 4] ?? 0));
        if (!table.isCurrent(slot, generation)) continue;
      }
      if ((flags & PollFlag.peerEnded) !== 0) handlers.socketOnHalfClose(slot);
      if ((flags & GONE) !== 0) handlers.socketOnLost(slot);
      else if ((flags & PollFlag.end) !== 0) handlers.socketOnPeerEnd(slot);
    }
    if (this.#poisonSlab) slab.fill(POISON);
    return hasAdoptions;
  }
}
