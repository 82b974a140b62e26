import { constants, PerformanceObserver } from 'node:perf_hooks';
import { Histogram } from '../api/histograms.ts';

/** Pauses of the garbage collector, by what it did. */
export class GcPauses {
  readonly minor = new Histogram('gc_minor_seconds');
  readonly major = new Histogram('gc_major_seconds');
  readonly other = new Histogram('gc_other_seconds');
  readonly #observer: PerformanceObserver;

  constructor() {
    this.#observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) this.#histogramOf(entry).record(entry.duration / 1000);
    });
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  stop(): void {
    this.#observer.disconnect();
  }

  #histogramOf(entry: object): Histogram {
    const detail: unknown = 'detail' in entry ? entry.detail : undefined;
    const kind: unknown =
      typeof detail === 'object' && detail !== null && 'kind' in detail ? detail.kind : undefined;
    if (kind === constants.NODE_PERFORMANCE_GC_MINOR) return this.minor;
    if (kind === constants.NODE_PERFORMANCE_GC_MAJOR) return this.major;
    return this.other;
  }
}
