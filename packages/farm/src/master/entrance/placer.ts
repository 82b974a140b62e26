import { admit, type AdmissionLimits, type Admitted } from './admission.ts';
import type { WorkerLoad } from './placement.ts';

/** Workers stay even to one in this many connections. */
const EVENNESS = 64;

/**
 * Places the sockets of one wake-up of the listener, in runs: the worker that has the fewest connections gets several in
 * a row, so that what has come together goes to as many workers as there are CPUs. Of fifty workers on two CPUs only two
 * can work at a time, and each that wakes for one socket finds its code and data gone from the caches. While they have few
 * connections, workers get one each, round robin.
 */
export class Placer {
  readonly #workers: readonly WorkerLoad[];
  readonly #limits: AdmissionLimits;
  readonly #cpus: number;
  #maxRun = 1;
  /** The worker that gets the next sockets, and how many more it gets. */
  #current: Admitted | undefined;
  #left = 0;

  constructor(workers: readonly WorkerLoad[], limits: AdmissionLimits, cpus: number) {
    this.#workers = workers;
    this.#limits = limits;
    this.#cpus = cpus;
  }

  /** This many sockets are placed next, with no other event in between. */
  begin(count: number): void {
    this.#left = 0;
    this.#maxRun = Math.ceil(count / Math.min(this.#cpus, this.#workers.length));
  }

  /** Where the next one goes; see admit(). The caller's own counts must have the one before. */
  place(): Admitted | undefined {
    if (this.#left > 0) {
      this.#left--;
      return this.#current;
    }
    const admitted = admit(this.#workers, this.#limits);
    this.#current = admitted;
    const worker = admitted === undefined ? undefined : this.#workers[admitted.worker];
    if (worker !== undefined && admitted?.isReserved === false) this.#left = this.#runOf(worker) - 1;
    return admitted;
  }

  /** Takes up to `max` more that go where the last one went; answers how many. */
  takeMore(max: number): number {
    const more = Math.min(this.#left, max);
    this.#left -= more;
    return more;
  }

  #runOf({ connections, capacity, room }: WorkerLoad): number {
    if (this.#maxRun === 1) return 1;
    const all = this.#workers.reduce((sum, load) => sum + load.connections, 0);
    const places = Math.min(room, capacity - connections, this.#limits.maxConnections - all);
    return Math.min(this.#maxRun, 1 + Math.floor(connections / EVENNESS), places);
  }
}
