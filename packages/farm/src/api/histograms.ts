/** Upper bounds of buckets, in seconds: from a tenth of a millisecond to what nobody waits for. */
const FROM_MICROSECONDS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];
/** The same for what is measured in whole milliseconds. */
const FROM_MILLISECONDS: readonly number[] = FROM_MICROSECONDS.filter((bound) => bound >= 0.001);

interface HistogramRow {
  /** What is observed, as a sentence. */
  readonly meaning: string;
  /** Upper bounds of its buckets, growing. The last bucket, beyond all of them, has none. */
  readonly bounds: readonly number[];
}

/** Everything of which the farm keeps a distribution. The unit is the last word of the name. */
export const HISTOGRAMS = {
  handoff_duration_seconds: {
    meaning: 'From sending a socket to its worker until the worker has acknowledged it.',
    bounds: FROM_MICROSECONDS,
  },
  move_pause_seconds: {
    meaning:
      'How long a connection that moved to this worker was served by nobody: from its last byte read by the one until the other reads.',
    bounds: FROM_MILLISECONDS,
  },
  broadcast_duration_seconds: {
    meaning:
      "From a publication's arrival at a worker until every subscriber there had been sent it, or had it in its outbound queue.",
    bounds: FROM_MICROSECONDS,
  },
  event_loop_delay_seconds: {
    meaning:
      'How late a timer was that is due ten times per second: as long an event that came at such a moment waited for its turn.',
    bounds: FROM_MILLISECONDS,
  },
  gc_minor_seconds: { meaning: 'Pauses for collections of young objects.', bounds: FROM_MICROSECONDS },
  gc_major_seconds: { meaning: 'Pauses for collections of the whole heap.', bounds: FROM_MICROSECONDS },
  gc_other_seconds: {
    meaning: 'Pauses for steps of incremental marking, and for weak callbacks.',
    bounds: FROM_MICROSECONDS,
  },
  tcp_rtt_seconds: {
    meaning:
      'Smoothed round-trip time to clients as the kernel measures it (TCP_INFO): of some hundred connections without TLS at each look.',
    bounds: [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5],
  },
} as const satisfies Readonly<Record<string, HistogramRow>>;

/** The name of a distribution. */
export type HistogramName = keyof typeof HISTOGRAMS;

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a constant.
export const HISTOGRAM_NAMES = Object.keys(HISTOGRAMS) as readonly HistogramName[];

/** What was observed since the start. */
export interface HistogramValues {
  /** Observations for each bucket, those of the others not included: one more than there are bounds. */
  readonly counts: readonly number[];
  /** Of all observations. */
  readonly sum: number;
}

/** A distribution in fixed buckets. To record is a short search in a typed array, and allocates nothing. */
export class Histogram {
  readonly #bounds: Float64Array;
  /** One for each bucket; the sum is behind them, so that it is no object of its own. */
  readonly #counts: Float64Array;

  constructor(name: HistogramName) {
    this.#bounds = Float64Array.from(HISTOGRAMS[name].bounds);
    this.#counts = new Float64Array(this.#bounds.length + 2);
  }

  /** `count` observations of the same value, which is not negative. */
  record(value: number, count = 1): void {
    const bounds = this.#bounds;
    const counts = this.#counts;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket++;
    counts[bucket] = (counts[bucket] ?? 0) + count;
    const sum = counts.length - 1;
    counts[sum] = (counts[sum] ?? 0) + value * count;
  }

  get values(): HistogramValues {
    return { counts: [...this.#counts.subarray(0, -1)], sum: this.#counts.at(-1) ?? 0 };
  }
}

/** Both together. They have the same buckets. */
export function addedHistograms(one: HistogramValues | undefined, other: HistogramValues): HistogramValues {
  if (one === undefined) return other;
  return {
    counts: one.counts.map((count, bucket) => count + (other.counts[bucket] ?? 0)),
    sum: one.sum + other.sum,
  };
}
