import { HISTOGRAMS } from '@roost/farm';
import type { HistogramName, HistogramValues } from '@roost/farm';

/** One line of a metric. */
interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Where it is not the metric's own name. */
  readonly metricName?: string;
}

type FamilyType = 'counter' | 'gauge' | 'histogram';

/**
 * A metric with all its lines. The counters and histograms of prom-client count what happens in one process; these are told what
 * happened in others, and are made for one answer.
 */
export class Family {
  readonly name: string;
  readonly help: string;
  readonly type: FamilyType;
  readonly values: Sample[] = [];

  constructor(name: string, help: string, type: FamilyType) {
    this.name = name;
    this.help = help;
    this.type = type;
  }

  /** What a registry of prom-client takes for a metric. It takes `_total` from the name, for OpenMetrics. */
  forRegistry(): RegistryMetric {
    const { help, type, values } = this;
    return {
      name: this.name,
      type,
      get() {
        return Promise.resolve({ name: this.name, help, type, values });
      },
    };
  }
}

interface RegistryMetric {
  name: string;
  readonly type: FamilyType;
  get(): Promise<{ name: string; help: string; type: FamilyType; values: readonly Sample[] }>;
}

export type Labels = Sample['labels'];

/** The metrics of one answer, by name, in the order in which they were added. */
export class Families {
  readonly #byName = new Map<string, Family>();

  [Symbol.iterator](): IterableIterator<Family> {
    return this.#byName.values();
  }

  gauge(name: string, help: string, labels: Labels, value: number): void {
    this.#family(name, help, 'gauge').values.push({ labels, value });
  }

  /** `name` without `_total`. */
  counter(name: string, help: string, labels: Labels, value: number): void {
    this.#family(`${name}_total`, help, 'counter').values.push({ labels, value });
  }

  histogram(
    name: string,
    help: string,
    labels: Labels,
    of: HistogramName,
    { counts, sum }: HistogramValues,
  ): void {
    const { values } = this.#family(name, help, 'histogram');
    let count = 0;
    for (const [bucket, bound] of [...HISTOGRAMS[of].bounds, '+Inf'].entries()) {
      count += counts[bucket] ?? 0;
      values.push({ labels: { ...labels, le: bound }, value: count, metricName: `${name}_bucket` });
    }
    values.push({ labels, value: sum, metricName: `${name}_sum` });
    values.push({ labels, value: count, metricName: `${name}_count` });
  }

  #family(name: string, help: string, type: FamilyType): Family {
    let family = this.#byName.get(name);
    if (family === undefined) {
      family = new Family(name, help, type);
      this.#byName.set(name, family);
    }
    return family;
  }
}
