import type { Farm, FarmMetrics } from '@roost/farm';

/** As often as the workers are asked at most. */
const MIN_INTERVAL_MS = 1000;

/** What was learnt, when, and how long it took. */
export interface Observation {
  readonly metrics: FarmMetrics;
  /** When the workers were asked, in ms since the epoch: what they tell is divided by the time between two. */
  readonly at: number;
  readonly seconds: number;
}

/** The metrics of a farm for any number of readers: whoever asks within a second of another gets the same. */
export class FarmWatch {
  readonly #farm: Pick<Farm, 'metrics'>;
  #askedAt = Number.NEGATIVE_INFINITY;
  #observation: Promise<Observation> | undefined;

  constructor(farm: Pick<Farm, 'metrics'>) {
    this.#farm = farm;
  }

  /** The same promise for the same observation. */
  observe(): Promise<Observation> {
    const now = performance.now();
    if (this.#observation === undefined || now - this.#askedAt >= MIN_INTERVAL_MS) {
      this.#askedAt = now;
      this.#observation = this.#ask(now);
      // Whoever asks next asks again.
      this.#observation.catch(() => (this.#observation = undefined));
    }
    return this.#observation;
  }

  async #ask(startedAt: number): Promise<Observation> {
    const at = Date.now();
    const metrics = await this.#farm.metrics();
    return { metrics, at, seconds: (performance.now() - startedAt) / 1000 };
  }
}
