import { EVENT_FIELDS, Poller, PollFlag } from '@roost/poller';
import { Adoption } from './adoption.ts';
import { RowFlag, type ConnectionTable } from '../rows/connection-table.ts';
import type { Core } from '../core.ts';
import { received } from '../states/by-state.ts';

const ADOPTION_ID = 0;
const POISON = 0xdb;
/** After so many events nobody notices one system call more. */
const MANY_EVENTS = 64;
const GONE = PollFlag.error | PollFlag.hangup;

/**
 * The events of the poller, given to the part that the row's state asks for. Every entry is checked against its row's
 * generation when its turn comes: what was handled before it in the batch may have ended the row.
 */
export class WorkerEvents {
  readonly #core: () => Core;
  readonly #poisonSlab: boolean;
  #poller: Poller | undefined;
  #adoption: Adoption | undefined;

  /** `core` is asked for when the first events come. `poisonSlab` overwrites received bytes after each batch. */
  constructor(core: () => Core, poisonSlab: boolean) {
    this.#core = core;
    this.#poisonSlab = poisonSlab;
  }

  makePoller(table: ConnectionTable): Poller {
    this.#poller = new Poller({
      columns: { fds: table.fds, generations: table.generations, flags: table.flags },
      sendableMask: RowFlag.sendable,
      sendableValue: RowFlag.sendable,
      onEvents: (count) => this.#handle(count),
    });
    return this.#poller;
  }

  /** From here on sockets are received. */
  adopt(descriptors: number): void {
    this.#adoption = new Adoption(this.#core(), descriptors, ADOPTION_ID, (count) => this.#read(count));
  }

  #handle(count: number): void {
    const { table, clock } = this.#core();
    // Slots freed before this batch may be given out again; those freed in it must wait for the next.
    table.settle();
    clock.refresh();
    const hasAdoptions = this.#read(count);
    // epoll takes turns: behind all the rows of a proxy that died, a hand-off would wait for its turn, and again after
    // every few records, until the master took this worker for dead.
    if (hasAdoptions || count >= MANY_EVENTS) this.#adoption?.run();
  }

  /** Reads entries of the poller. True when sockets wait to be adopted. */
  #read(count: number): boolean {
    const core = this.#core();
    const { table, poller } = core;
    const { events } = poller;
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
        core.outbound.flush(slot);
        if (!table.isCurrent(slot, generation)) continue;
      }
      if ((flags & PollFlag.data) !== 0) {
        const offset = events[at + 3] ?? 0;
        received(core, slot, poller.slab, offset, offset + (events[at + 4] ?? 0));
        if (!table.isCurrent(slot, generation)) continue;
      }
      if ((flags & PollFlag.peerEnded) !== 0) core.handshakes.peerEnded(slot);
      if ((flags & GONE) !== 0) core.lifecycle.ended(slot);
      else if ((flags & PollFlag.end) !== 0) core.lifecycle.peerEnded(slot);
    }
    if (this.#poisonSlab) poller.slab.fill(POISON);
    return hasAdoptions;
  }
}
