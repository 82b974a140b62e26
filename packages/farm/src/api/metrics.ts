import type { HistogramName, HistogramValues } from './histograms.ts';
import type { WorkerInfo } from './info.ts';
import type { GaugeName, TotalName } from './measures.ts';

/** What one process of the farm has measured. What only grows is since the start of the farm, over all lives of a worker. */
export interface ProcessMetrics {
  /** By the names of `COUNTERS`, and `app_…` of applications. */
  readonly counters: Readonly<Record<string, number>>;
  /** By the names of `TOTALS`. */
  readonly totals: Readonly<Partial<Record<TotalName, number>>>;
  /** By the names of `GAUGES`: those that are known. */
  readonly gauges: Readonly<Partial<Record<GaugeName, number>>>;
  /** By the names of `HISTOGRAMS`. */
  readonly histograms: Readonly<Partial<Record<HistogramName, HistogramValues>>>;
}

/** What a worker has measured, and the master of it. */
export interface WorkerMetrics extends ProcessMetrics {
  /** The worker as `info()` tells of it. */
  readonly info: WorkerInfo;
  /** Open connections by the name of their app. Empty until the worker has been asked. */
  readonly connections: Readonly<Record<string, number>>;
  /** Sockets by their state: `handshake`, `upgrading`, `open` (asleep), `awake`, `closing`, `http` and more. */
  readonly sockets: Readonly<Record<string, number>>;
  /** Ended connections by close code; `other` for codes that clients have chosen. */
  readonly closes: Readonly<Record<string, number>>;
}

/** Everything that can be measured of a farm, for a monitoring system. */
export interface FarmMetrics {
  /** The option `version`. */
  readonly version: string;
  /** Since the farm was started, in ms. */
  readonly uptimeMs: number;
  /** What carries publications. */
  readonly broker: 'memory' | 'redis';
  /** Whether the farm can serve. */
  readonly isReady: boolean;
  /** The option `maxConnections`: the workers together may have capacity for more. */
  readonly maxConnections: number;
  /** The process that accepts and hands off. */
  readonly master: ProcessMetrics;
  /** By their index. */
  readonly workers: readonly WorkerMetrics[];
  /** Workers that did not answer within a second: theirs are from an earlier answer. */
  readonly unanswered: readonly number[];
}
