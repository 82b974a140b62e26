/** Sub-buckets per power of two: a percentile is at most 1/32 (3 %) too high. */
const SUB_BUCKETS = 32;
const SUB_BITS = 5;
/** Up to 2^32 µs, more than an hour. */
const BUCKETS = SUB_BUCKETS * (33 - SUB_BITS);

/** Latencies in fixed, logarithmic buckets of microseconds, as HdrHistogram has them: bounded memory, mergeable. */
export class LatencyHistogram {
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;

  get count(): number {
    return this.#total;
  }

  record(micros: number): void {
    const index = bucketOf(Math.min(Math.max(Math.round(micros), 0), 2 ** 32 - 1));
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#total++;
  }

  /** Non-empty buckets as pairs of index and count, to be sent between processes. */
  toPairs(): number[] {
    const pairs: number[] = [];
    for (let index = 0; index < BUCKETS; index++) {
      const count = this.#counts[index] ?? 0;
      if (count > 0) pairs.push(index, count);
    }
    return pairs;
  }

  addPairs(pairs: readonly number[]): void {
    for (let at = 0; at + 1 < pairs.length; at += 2) {
      const index = pairs[at] ?? 0;
      const count = pairs[at + 1] ?? 0;
      this.#counts[index] = (this.#counts[index] ?? 0) + count;
      this.#total += count;
    }
  }

  /** The upper edge, in microseconds, of the bucket in which `share` (0 to 1) of the latencies are reached; 0 if none. */
  percentile(share: number): number {
    const wanted = Math.max(1, Math.ceil(this.#total * share));
    let seen = 0;
    for (let index = 0; index < BUCKETS; index++) {
      seen += this.#counts[index] ?? 0;
      if (seen >= wanted) return upperEdge(index);
    }
    return 0;
  }
}

function bucketOf(micros: number): number {
  if (micros < SUB_BUCKETS) return micros;
  const exponent = 31 - Math.clz32(micros) - SUB_BITS;
  return (exponent + 1) * SUB_BUCKETS + (micros >>> exponent) - SUB_BUCKETS;
}

function upperEdge(index: number): number {
  if (index < SUB_BUCKETS) return index;
  const exponent = Math.floor(index / SUB_BUCKETS) - 1;
  return (SUB_BUCKETS + (index % SUB_BUCKETS) + 1) * 2 ** exponent - 1;
}
