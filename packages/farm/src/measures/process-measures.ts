import { descriptorLimit } from '../options/descriptor-limit.ts';
import type { HistogramName, HistogramValues } from '../api/histograms.ts';
import type { GaugeName, TotalName } from '../api/measures.ts';
import { GcPauses } from './gc-pauses.ts';
import { LoopDelay } from './loop-delay.ts';
import { OpenDescriptors } from './open-descriptors.ts';

/** What a process knows of itself as a process. */
export interface ProcessReading {
  readonly totals: Partial<Record<TotalName, number>>;
  readonly gauges: Partial<Record<GaugeName, number>>;
  readonly histograms: Partial<Record<HistogramName, HistogramValues>>;
}

/**
 * CPU, memory, descriptors, event loop and garbage collector of this process. What must be observed all the time, the last
 * two, is observed from the first reading on: a farm that nobody watches does not pay for it.
 */
export class ProcessMeasures {
  readonly #descriptors = new OpenDescriptors();
  #observed: { readonly loop: LoopDelay; readonly gc: GcPauses } | undefined;

  /** `rows`: descriptors that it holds for others. */
  read(rows: number): ProcessReading {
    this.#observed ??= { loop: new LoopDelay(), gc: new GcPauses() };
    const { loop, gc } = this.#observed;
    const { user, system } = process.cpuUsage();
    const memory = process.memoryUsage();
    const maxDescriptors = descriptorLimit();
    return {
      totals: {
        cpu_user_seconds: user / 1e6,
        cpu_system_seconds: system / 1e6,
        event_loop_busy_seconds: performance.eventLoopUtilization().active / 1000,
      },
      gauges: {
        descriptors: this.#descriptors.count(rows),
        ...(Number.isFinite(maxDescriptors) && { descriptors_max: maxDescriptors }),
        resident_bytes: memory.rss,
        heap_used_bytes: memory.heapUsed,
        heap_total_bytes: memory.heapTotal,
        external_bytes: memory.external,
      },
      histograms: {
        event_loop_delay_seconds: loop.histogram.values,
        gc_minor_seconds: gc.minor.values,
        gc_major_seconds: gc.major.values,
        gc_other_seconds: gc.other.values,
      },
    };
  }

  stop(): void {
    this.#observed?.loop.stop();
    this.#observed?.gc.stop();
    this.#observed = undefined;
  }
}
