import { Interest, type Poller } from '@roost/poller';
import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import type { WorkerLife } from './worker-life.ts';

type AcknowledgingWorker = Pick<WorkerLife, 'descriptors' | 'id' | 'index' | 'readAcknowledgements'>;

/** Sees to it that what workers acknowledge is read, by the events of their descriptor pairs. */
export class Acknowledgements {
  readonly #poller: Pick<Poller, 'watchDescriptor'>;
  readonly #firstId: number;
  readonly #counters: Counters;
  readonly #log: Log;
  /** Workers whose descriptors are in no epoll set: they are looked at from time to time. */
  readonly #unwatched = new Set<AcknowledgingWorker>();

  /** In the poller's events a worker is its id and `firstId`. */
  constructor(poller: Pick<Poller, 'watchDescriptor'>, firstId: number, counters: Counters, log: Log) {
    this.#poller = poller;
    this.#firstId = firstId;
    this.#counters = counters;
    this.#log = log;
  }

  /** It has `descriptors`. */
  workerStarted(worker: AcknowledgingWorker): void {
    this.#unwatched.add(worker);
    this.#watch(worker);
  }

  workerEnded(worker: AcknowledgingWorker): void {
    this.#unwatched.delete(worker);
  }

  /** To be called several times a second. */
  look(): void {
    for (const worker of this.#unwatched) {
      this.#watch(worker);
      worker.readAcknowledgements();
    }
  }

  /** The kernel may have no memory, or no watches left for it: until it has, acknowledgements are looked for. */
  #watch(worker: AcknowledgingWorker): void {
    const { descriptors, id, index } = worker;
    if (descriptors === undefined) return;
    const outcome = this.#poller.watchDescriptor(descriptors, this.#firstId + id, Interest.readable);
    if (outcome === 0) {
      this.#unwatched.delete(worker);
      return;
    }
    this.#counters.add('watch_errors');
    this.#log.error({ worker: index, errno: -outcome }, 'worker could not be watched; trying again');
  }
}
