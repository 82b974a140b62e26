/** Microseconds of the machine's monotonic clock, the same in every process. */
export function nowMicros() {
  return Number(process.hrtime.bigint() / 1000n);
}

/** Latencies in steps of 0.1 ms; of what is longer than 10 s only that it was. */
export class Latencies {
  #counts = new Uint32Array(100_000);
  #total = 0;
  #max = 0;

  /** @param {number} micros */
  add(micros) {
    this.#counts[Math.max(0, Math.min(this.#counts.length - 1, Math.floor(micros / 100)))]++;
    this.#total++;
    this.#max = Math.max(this.#max, micros);
  }

  reset() {
    this.#counts.fill(0);
    this.#total = this.#max = 0;
  }

  report() {
    return { count: this.#total, p50: this.#at(0.5), p99: this.#at(0.99), max: this.#max / 1000 };
  }

  /**
   * In ms.
   * @param {number} quantile
   */
  #at(quantile) {
    let left = Math.ceil(this.#total * quantile);
    for (let step = 0; step < this.#counts.length; step++) {
      left -= this.#counts[step];
      if (left <= 0) return (step + 1) / 10;
    }
    return Number.NaN;
  }
}
