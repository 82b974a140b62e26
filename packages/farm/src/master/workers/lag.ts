import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';

/**
 * Whether a worker lags: a hand-off has waited for it longer than `lagMs`. Others are preferred then. Stays as it is from
 * one look to the next.
 */
export class Lag {
  readonly #worker: number;
  readonly #lagMs: number;
  readonly #counters: Counters;
  readonly #log: Log;
  #isOn = false;

  constructor(worker: number, lagMs: number, counters: Counters, log: Log) {
    this.#worker = worker;
    this.#lagMs = lagMs;
    this.#counters = counters;
    this.#log = log;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** Looks at how long the oldest hand-off has waited. */
  look(waitedMs: number): void {
    const isOn = waitedMs > this.#lagMs;
    if (isOn && !this.#isOn) {
      this.#counters.add('worker_lags');
      this.#log.warn(
        { worker: this.#worker, lagMs: Math.round(waitedMs) },
        'worker lags; others are preferred',
      );
    }
    this.#isOn = isOn;
  }

  /** The worker is gone. */
  end(): void {
    this.#isOn = false;
  }
}
