import { addCounts } from '../../api/counters.ts';
import {
  addedHistograms,
  type Histogram,
  HISTOGRAM_NAMES,
  type HistogramName,
  type HistogramValues,
} from '../../api/histograms.ts';
import type { WorkerInfo } from '../../api/info.ts';
import type { ProcessMetrics, WorkerMetrics } from '../../api/metrics.ts';
import type { WorkerReport } from '../../link/worker-report.ts';
import type { AskAnswer, WorkerMeasured } from '../../link/questions.ts';

type Histograms = Partial<Record<HistogramName, HistogramValues>>;

/** What a worker has measured, as far as the master knows; the rest of its metrics are the master's own. */
export type KnownMetrics = ProcessMetrics & Omit<WorkerMetrics, 'info'>;

/** What one life of a worker has said last of itself. */
export class LifeFigures {
  #report: WorkerReport | undefined;
  #measured: WorkerMeasured | undefined;
  #isOver = false;

  /** Its last report; undefined before the first. */
  get report(): WorkerReport | undefined {
    return this.#report;
  }

  get measured(): WorkerMeasured | undefined {
    return this.#measured;
  }

  /** It is a life no more. Its last words may still be read. */
  get isOver(): boolean {
    return this.#isOver;
  }

  reported(report: WorkerReport): void {
    this.#report = report;
  }

  /** It has answered a question. */
  answered(answer: AskAnswer): void {
    if (answer.kind === 'report' || answer.kind === 'metrics') this.#report = answer.report;
    if (answer.kind === 'metrics') this.#measured = answer.measured;
  }

  end(): void {
    this.#isOver = true;
  }
}

/**
 * What a place for a worker has counted and measured, over all its lives: what those have said last that live or ended last,
 * and what those before them had said last. So nothing that only grows ever shrinks, and of a worker that dies no more is lost
 * than what it had not reported yet.
 */
export class PlaceFigures {
  readonly #own: Readonly<Partial<Record<HistogramName, Histogram>>>;
  #lives: LifeFigures[] = [];
  readonly #earlierCounters: Record<string, number> = {};
  readonly #earlierTotals: Record<string, number> = {};
  readonly #earlierCloses: Record<string, number> = {};
  readonly #earlierHistograms: Histograms = {};

  /** `own`: what the master measures of it. */
  constructor(own: Readonly<Partial<Record<HistogramName, Histogram>>>) {
    this.#own = own;
  }

  /** What it has at present, as the last reports of its lives say. */
  get sizes(): Pick<WorkerInfo, 'connections' | 'subscriptions' | 'outboundBytes'> {
    let connections = 0;
    let subscriptions = 0;
    let outboundBytes = 0;
    for (const { report } of this.#living) {
      connections += report?.connections ?? 0;
      subscriptions += report?.subscriptions ?? 0;
      outboundBytes += report?.outboundBytes ?? 0;
    }
    return { connections, subscriptions, outboundBytes };
  }

  /** A life begins. Those that are over count as earlier ones from here on, not before: last words may be read late. */
  begin(life: LifeFigures): void {
    for (const { report, measured } of this.#lives.filter(({ isOver }) => isOver)) {
      if (report !== undefined) addCounts(this.#earlierCounters, report.counters);
      if (measured === undefined) continue;
      addCounts(this.#earlierTotals, measured.totals);
      addCounts(this.#earlierCloses, measured.closes);
      addHistograms(this.#earlierHistograms, measured.histograms);
    }
    this.#lives = [...this.#living, life];
  }

  /** All that its lives have counted. */
  get counters(): Record<string, number> {
    const counters = { ...this.#earlierCounters };
    for (const { report } of this.#lives) if (report !== undefined) addCounts(counters, report.counters);
    return counters;
  }

  /** As the last answers of its lives have it. */
  get metrics(): KnownMetrics {
    const totals = { ...this.#earlierTotals };
    const closes = { ...this.#earlierCloses };
    const connections: Record<string, number> = {};
    const sockets: Record<string, number> = {};
    const histograms: Histograms = { ...this.#earlierHistograms };
    for (const name of HISTOGRAM_NAMES) {
      const own = this.#own[name];
      if (own !== undefined) histograms[name] = own.values;
    }
    let gauges: KnownMetrics['gauges'] = {};
    for (const { measured } of this.#lives) {
      if (measured === undefined) continue;
      addCounts(totals, measured.totals);
      addCounts(closes, measured.closes);
      addHistograms(histograms, measured.histograms);
    }
    for (const { measured } of this.#living) {
      if (measured === undefined) continue;
      addCounts(connections, measured.connections);
      addCounts(sockets, measured.sockets);
      // Of two processes, the younger's: limits and ratios have no sum.
      gauges = measured.gauges;
    }
    return { counters: this.counters, totals, closes, histograms, gauges, connections, sockets };
  }

  get #living(): LifeFigures[] {
    return this.#lives.filter(({ isOver }) => !isOver);
  }
}

function addHistograms(sums: Histograms, more: Histograms): void {
  for (const name of HISTOGRAM_NAMES) {
    const values = more[name];
    if (values !== undefined) sums[name] = addedHistograms(sums[name], values);
  }
}
