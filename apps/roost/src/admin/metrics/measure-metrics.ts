import { GAUGES, HISTOGRAMS, TOTALS } from '@roost/farm';
import type { GaugeName, HistogramName, TotalName } from '@roost/farm';

/** What is measured, as a metric. */
export interface MeasureMetric {
  readonly name: string;
  readonly help: string;
  /** Its own, beside `worker`. */
  readonly labels: Readonly<Record<string, string>>;
}

const NO_LABELS = {};

/** Names are those of the farm with `roost_` before them, but for what other programs have a name for, too. */
const GAUGE_NAMES: Readonly<Partial<Record<GaugeName, string>>> = {
  descriptors: 'roost_process_open_fds',
  descriptors_max: 'roost_process_max_fds',
  resident_bytes: 'roost_process_resident_memory_bytes',
  proportional_bytes: 'roost_process_proportional_memory_bytes',
  heap_used_bytes: 'roost_nodejs_heap_used_bytes',
  heap_total_bytes: 'roost_nodejs_heap_total_bytes',
  external_bytes: 'roost_nodejs_external_memory_bytes',
};

const CPU = {
  name: 'roost_process_cpu_seconds',
  help: 'CPU time of the process, in its own code and in the kernel.',
};
const TOTAL_METRICS: Readonly<Partial<Record<TotalName, MeasureMetric>>> = {
  cpu_user_seconds: { ...CPU, labels: { mode: 'user' } },
  cpu_system_seconds: { ...CPU, labels: { mode: 'system' } },
};

const GC = {
  name: 'roost_gc_pause_seconds',
  help: 'Pauses of the garbage collector: for young objects (minor), for the whole heap (major), and for steps between (other).',
};
const HISTOGRAM_METRICS: Readonly<Partial<Record<HistogramName, MeasureMetric>>> = {
  gc_minor_seconds: { ...GC, labels: { kind: 'minor' } },
  gc_major_seconds: { ...GC, labels: { kind: 'major' } },
  gc_other_seconds: { ...GC, labels: { kind: 'other' } },
};

export function gaugeMetric(name: GaugeName): MeasureMetric {
  return { name: GAUGE_NAMES[name] ?? `roost_${name}`, help: GAUGES[name], labels: NO_LABELS };
}

/** Without `_total`. */
export function totalMetric(name: TotalName): MeasureMetric {
  return TOTAL_METRICS[name] ?? { name: `roost_${name}`, help: TOTALS[name], labels: NO_LABELS };
}

export function histogramMetric(name: HistogramName): MeasureMetric {
  return (
    HISTOGRAM_METRICS[name] ?? { name: `roost_${name}`, help: HISTOGRAMS[name].meaning, labels: NO_LABELS }
  );
}
