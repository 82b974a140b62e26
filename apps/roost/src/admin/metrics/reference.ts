import { COUNTERS, GAUGES, HISTOGRAMS, TOTALS } from '@roost/farm';
import type { GaugeName, HistogramName, TotalName } from '@roost/farm';
import { PUSHER_COUNTERS } from '../../worker/dialects/pusher/counters.ts';
import { COUNTER_GROUPS, counterMetric, TOLD_BY_WORKER } from './counter-metrics.ts';
import { FARM_METRICS } from './farm-metrics.ts';
import { gaugeMetric, histogramMetric, totalMetric } from './measure-metrics.ts';

/** A metric as the page of metrics lists it. */
export interface DocumentedMetric {
  /** As it is scraped: of a counter with `_total`. */
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
}

const WORKER = 'worker';

/** Every metric, but for those of applications' own counters. */
export function documentedMetrics(): DocumentedMetric[] {
  const metrics: DocumentedMetric[] = Object.entries(FARM_METRICS).map(([name, { type, labels, help }]) => ({
    name: type === 'counter' ? `${name}_total` : name,
    type,
    labels,
    help,
  }));
  const names = new Set(metrics.map(({ name }) => name));
  const add = (metric: DocumentedMetric): void => {
    if (!names.has(metric.name)) metrics.push(metric);
    names.add(metric.name);
  };
  // oxlint-disable typescript/no-unsafe-type-assertion -- the keys of constants.
  for (const counter of Object.keys(COUNTERS)) {
    if (!TOLD_BY_WORKER.has(counter)) add(asCounter(counterMetric(counter)));
  }
  for (const counter of Object.keys(PUSHER_COUNTERS)) add(asCounter(counterMetric(counter)));
  for (const total of Object.keys(TOTALS) as TotalName[]) add(asCounter(totalMetric(total)));
  for (const gauge of Object.keys(GAUGES) as GaugeName[]) {
    const { name, help, labels } = gaugeMetric(gauge);
    add({ name, type: 'gauge', labels: [WORKER, ...Object.keys(labels)], help });
  }
  for (const histogram of Object.keys(HISTOGRAMS) as HistogramName[]) {
    const { name, help, labels } = histogramMetric(histogram);
    add({ name, type: 'histogram', labels: [WORKER, ...Object.keys(labels)], help });
  }
  // oxlint-enable typescript/no-unsafe-type-assertion
  return metrics;
}

/** The text of docs/reference/metrics.md. */
export function metricReference(): string {
  const metrics = documentedMetrics();
  const lines = [
    '# Metrics',
    '',
    '<!-- Generated from the tables of counters and measures by "npx vitest run apps/roost/src/admin/metrics/reference.test.ts -u". -->',
    '',
    "What `GET /metrics` of the admin listener answers, in the text format of Prometheus or, where it is asked for, in OpenMetrics; [watching a farm](../guide/watching.md) has the rest. The label `worker` is the index of a worker, or `master`. Counters and histograms are over all lives of a worker: they begin anew only with the farm. An application's own counters (`app_…`) are told under their names, with `roost_` before them; so are those of the Pusher dialect (`roost_app_pusher_…`), each from the first time on.",
    '',
    ...table(
      ['metric', 'type', 'labels', 'what it is'],
      metrics.map(({ name, type, labels, help }) => [
        `\`${name}\``,
        type,
        labels.map((label) => `\`${label}\``).join(' '),
        help,
      ]),
    ),
  ];
  for (const { name, label, members } of COUNTER_GROUPS) {
    lines.push('', `## ${name}_total`, '');
    lines.push(
      ...table(
        [label, '[counter](counters.md)', 'counts'],
        Object.entries(members).map(([counter, value]) => [
          `\`${value}\``,
          `\`${counter}\``,
          MEANINGS[counter] ?? '',
        ]),
      ),
    );
  }
  return `${lines.join('\n')}\n`;
}

const MEANINGS: Readonly<Record<string, string>> = COUNTERS;

function asCounter({ name, help, labels }: ReturnType<typeof counterMetric>): DocumentedMetric {
  return { name: `${name}_total`, type: 'counter', labels: [WORKER, ...Object.keys(labels)], help };
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((cells) => cells[column]?.length ?? 0)));
  all.splice(
    1,
    0,
    widths.map((width) => '-'.repeat(width)),
  );
  return all.map(
    (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
  );
}
