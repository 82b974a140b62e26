import {
  build,
  decodeFromCompressedBase64,
  encodeIntoCompressedBase64,
  type Histogram,
} from 'hdr-histogram-js';

/** An hour; what takes longer counts as an hour. */
const MAX_MICROS = 3_600_000_000;
/** A percentile is at most 1 % off. */
const SIGNIFICANT_DIGITS = 2;
const COUNTER_BITS = 32;

/** Latencies in milliseconds. All 0 when there were none. */
export interface LatencySummary {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Latencies of any number of processes: bounded memory, whatever their number, and mergeable (HdrHistogram). */
export class Latencies {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: MAX_MICROS,
    numberOfSignificantValueDigits: SIGNIFICANT_DIGITS,
    bitBucketSize: COUNTER_BITS,
    useWebAssembly: false,
  });

  get count(): number {
    return this.#histogram.totalCount;
  }

  record(micros: number): void {
    this.#histogram.recordValue(Math.min(Math.max(Math.round(micros), 0), MAX_MICROS));
  }

  /** In the compressed format of HdrHistogram (V2), as base64. */
  encode(): string {
    return encodeIntoCompressedBase64(this.#histogram);
  }

  /** Adds what {@link encode} made, of another process most often. */
  add(encoded: string): void {
    this.#histogram.add(decodeFromCompressedBase64(encoded, COUNTER_BITS, false));
  }

  reset(): void {
    this.#histogram.reset();
  }

  summary(): LatencySummary {
    const histogram = this.#histogram;
    const ms = (percentile: number): number =>
      histogram.totalCount === 0 ? 0 : histogram.getValueAtPercentile(percentile) / 1000;
    return {
      count: histogram.totalCount,
      p50: ms(50),
      p90: ms(90),
      p99: ms(99),
      p999: ms(99.9),
      max: histogram.totalCount === 0 ? 0 : histogram.maxValue / 1000,
    };
  }
}
