import type { Link } from '../../link/link.ts';
import type { MasterMessage, WorkerMessage } from '../../link/messages.ts';
import { RowFlag, type ConnectionTable } from '../rows/connection-table.ts';
import type { RowOwner } from '../rows/row-owner.ts';

/** Released sockets are reported together: the master may place that much later than it could. */
const DELAY_MS = 10;

/** Reports to the master how many sockets this worker has finished with, at most every {@link DELAY_MS}. */
export class ReleaseReports implements RowOwner {
  readonly #link: Link<MasterMessage, WorkerMessage>;
  readonly #table: ConnectionTable;
  /** Since the start of the worker. */
  #total = 0;
  /** Those of them that were over a limit of their address. */
  #limited = 0;
  #isScheduled = false;

  constructor(link: Link<MasterMessage, WorkerMessage>, table: ConnectionTable) {
    this.#link = link;
    this.#table = table;
  }

  release(slot: number): void {
    this.#total++;
    if (this.#table.hasFlag(slot, RowFlag.limited)) this.#limited++;
    this.#schedule();
  }

  /** It is not finished with. */
  depart(): void {
    // The move tells the master.
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setTimeout(() => {
      this.#isScheduled = false;
      const report = { type: 'released', total: this.#total, limited: this.#limited } as const;
      // A report that is lost, with none to follow, would leave places taken that are free.
      if (this.#link.sendUrgent(report) === 'overflow') this.#schedule();
    }, DELAY_MS);
  }
}
