const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 30_000;
/** A worker that was ready for so long has not died of its start. */
const HEALTHY_MS = 10_000;

/**
 * When to start a worker again: at once the first time, then after delays that double up to {@link MAX_DELAY_MS}, with
 * jitter. A worker that was healthy for a while begins anew.
 */
export class Backoff {
  readonly #random: () => number;
  #failures = 0;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Milliseconds to wait after a death; `readyMs` is how long the worker was ready. */
  next(readyMs: number): number {
    if (readyMs >= HEALTHY_MS) this.#failures = 0;
    const failures = this.#failures++;
    if (failures === 0) return 0;
    const delay = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - 1));
    return Math.round(delay * (0.5 + this.#random() / 2));
  }
}
