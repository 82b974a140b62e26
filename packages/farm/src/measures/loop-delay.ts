import { Histogram } from '../api/histograms.ts';

const INTERVAL_MS = 100;

/**
 * How late the event loop comes to what is due. A timer of our own and not `monitorEventLoopDelay`, whose percentiles are those
 * since it was last reset: two readers would take them away from each other. Buckets that only grow serve any number.
 */
export class LoopDelay {
  readonly histogram = new Histogram('event_loop_delay_seconds');
  readonly #timer: NodeJS.Timeout;
  #dueAt = performance.now() + INTERVAL_MS;

  constructor() {
    this.#timer = setInterval(() => this.#look(), INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    this.histogram.record(Math.max(0, now - this.#dueAt) / 1000);
    // Node sets an interval's next timer when this one has run.
    this.#dueAt = now + INTERVAL_MS;
  }
}
