import type { Link } from '../../link/link.ts';
import type { MasterMessage, WorkerMessage } from '../../link/messages.ts';

/** Released sockets are reported together: the master may place that much later than it could. */
const DELAY_MS = 10;

/** Tells the master how many sockets this worker has finished with, at most every {@link DELAY_MS}. */
export class ReleaseReports {
  readonly #link: Link<MasterMessage, WorkerMessage>;
  readonly #released: () => { readonly total: number; readonly limited: number };
  #isScheduled = false;

  constructor(
    link: Link<MasterMessage, WorkerMessage>,
    released: () => { readonly total: number; readonly limited: number },
  ) {
    this.#link = link;
    this.#released = released;
  }

  note(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setTimeout(() => {
      this.#isScheduled = false;
      // One that is lost, with none to follow, would leave places taken that are free.
      if (this.#link.send({ type: 'released', ...this.#released() }, true) === 'overflow') this.note();
    }, DELAY_MS);
  }
}
