/** Each bucket is wider than the one before by the fourth root of two: a percentile is at most 19 % too high. */
const BUCKETS_PER_DOUBLING = 4;
/** Up to 2^20 ms. */
const BUCKETS = 20 * BUCKETS_PER_DOUBLING + 1;

/** How long connections were served by nobody while they moved. */
export class Pauses {
  readonly #counts = new Float64Array(BUCKETS);
  #count = 0;
  #maxMs = 0;

  record(pauseMs: number, rows: number): void {
    const bucket = Math.ceil(Math.log2(Math.max(1, pauseMs)) * BUCKETS_PER_DOUBLING);
    const at = Math.min(BUCKETS - 1, bucket);
    this.#counts[at] = (this.#counts[at] ?? 0) + rows;
    this.#count += rows;
    this.#maxMs = Math.max(this.#maxMs, pauseMs);
  }

  /** The longest. */
  get maxMs(): number {
    return this.#maxMs;
  }

  /** What 99 % of the connections have not exceeded; 0 when none has moved. */
  get p99Ms(): number {
    let left = Math.ceil(this.#count * 0.99);
    if (left === 0) return 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#counts[bucket] ?? 0;
      if (left <= 0) return Math.min(this.#maxMs, 2 ** (bucket / BUCKETS_PER_DOUBLING));
    }
    return this.#maxMs;
  }
}
