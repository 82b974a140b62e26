import { GAUGES, HISTOGRAMS, TOTALS } from '@roost/farm';
import type {
  FarmMetrics,
  GaugeName,
  HistogramName,
  ProcessMetrics,
  TotalName,
  WorkerMetrics,
} from '@roost/farm';
import type { WebhookState } from '../../webhooks/deliveries.ts';
import { counterMetric, counterName, isTold, TOLD_BY_WORKER } from './counter-metrics.ts';
import { Families } from './families.ts';
import { gaugeMetric, histogramMetric, totalMetric } from './measure-metrics.ts';

/** Metrics that are neither counters nor measures of the farm's tables: name, type, own labels and help. */
export const FARM_METRICS = {
  roost_info: {
    type: 'gauge',
    labels: ['version', 'broker'],
    help: 'Always 1: the version of Roost, and what carries its publications.',
  },
  roost_uptime_seconds: { type: 'gauge', labels: [], help: 'Since the farm was started.' },
  roost_ready: {
    type: 'gauge',
    labels: [],
    help: '1 while the farm is ready, as GET /health/ready tells it, else 0.',
  },
  roost_max_connections: {
    type: 'gauge',
    labels: [],
    help: 'The most connections of the farm (maxConnections), whatever its workers have capacity for.',
  },
  roost_unanswered_workers: {
    type: 'gauge',
    labels: [],
    help: 'Workers that did not answer within a second: their figures are from an earlier answer.',
  },
  roost_scrape_seconds: { type: 'gauge', labels: [], help: 'How long it took to ask the workers.' },
  roost_worker_up: {
    type: 'gauge',
    labels: ['worker'],
    help: '1 while the worker serves connections, also while it drains, else 0.',
  },
  roost_worker_restarts: {
    type: 'counter',
    labels: ['worker'],
    help: 'Times the worker died and was started again.',
  },
  roost_connections: {
    type: 'gauge',
    labels: ['worker', 'app'],
    help: 'Open WebSocket connections, by the name of the app that serves them.',
  },
  roost_sockets: {
    type: 'gauge',
    labels: ['worker', 'state'],
    help: 'Sockets by state: preface, securing, handshake, upgrading, open (the connection sleeps), awake (ws reads it), closing, refusing and http.',
  },
  roost_closes: {
    type: 'counter',
    labels: ['worker', 'code'],
    help: 'Connections that ended, by close code. Codes that clients have thought of are together in "other".',
  },
  roost_webhook_queue_events: {
    type: 'gauge',
    labels: ['app', 'webhook'],
    help: 'Events that wait for a webhook, or are under way to it, by app and place among its webhooks, from 0. Only where webhooks are configured.',
  },
  roost_webhook_queue_bytes: {
    type: 'gauge',
    labels: ['app', 'webhook'],
    help: 'Memory of the events that wait for a webhook. Only where webhooks are configured.',
  },
  roost_webhook_failing: {
    type: 'gauge',
    labels: ['app', 'webhook'],
    help: '1 while the last request of a webhook has failed, else 0. Only where webhooks are configured.',
  },
} as const satisfies Readonly<
  Record<string, { type: 'counter' | 'gauge'; labels: readonly string[]; help: string }>
>;

/** The label `worker` of what the master counts and measures. */
const MASTER = 'master';

/** Everything that is known of a farm, as metrics. `scrapeSeconds`: how long it took to learn it. */
export function familiesOf(
  metrics: FarmMetrics,
  webhooks: readonly WebhookState[],
  scrapeSeconds: number,
): Families {
  const families = new Families();
  const gauge = (name: keyof typeof FARM_METRICS, labels: Record<string, string>, value: number): void =>
    families.gauge(name, FARM_METRICS[name].help, labels, value);
  gauge('roost_info', { version: metrics.version, broker: metrics.broker }, 1);
  gauge('roost_uptime_seconds', {}, metrics.uptimeMs / 1000);
  gauge('roost_ready', {}, metrics.isReady ? 1 : 0);
  gauge('roost_max_connections', {}, metrics.maxConnections);
  gauge('roost_unanswered_workers', {}, metrics.unanswered.length);
  gauge('roost_scrape_seconds', {}, scrapeSeconds);
  for (const worker of metrics.workers) addWorker(families, worker);
  addWebhooks(families, webhooks);
  addProcess(families, MASTER, metrics.master);
  for (const worker of metrics.workers) addProcess(families, String(worker.info.worker), worker);
  return families;
}

function addWorker(families: Families, { info, connections, sockets, closes }: WorkerMetrics): void {
  const worker = String(info.worker);
  const { help: upHelp } = FARM_METRICS.roost_worker_up;
  families.gauge('roost_worker_up', upHelp, { worker }, isUp(info.state) ? 1 : 0);
  families.counter(
    'roost_worker_restarts',
    FARM_METRICS.roost_worker_restarts.help,
    { worker },
    info.restarts,
  );
  for (const [app, count] of Object.entries(connections)) {
    families.gauge('roost_connections', FARM_METRICS.roost_connections.help, { worker, app }, count);
  }
  for (const [state, count] of Object.entries(sockets)) {
    families.gauge('roost_sockets', FARM_METRICS.roost_sockets.help, { worker, state }, count);
  }
  for (const [code, count] of Object.entries(closes)) {
    families.counter('roost_closes', FARM_METRICS.roost_closes.help, { worker, code }, count);
  }
}

function addWebhooks(families: Families, webhooks: readonly WebhookState[]): void {
  const places = new Map<string, number>();
  for (const { app, queuedEvents, queuedBytes, problem } of webhooks) {
    const place = places.get(app) ?? 0;
    places.set(app, place + 1);
    const gauge = (name: keyof typeof FARM_METRICS, value: number): void =>
      families.gauge(name, FARM_METRICS[name].help, { app, webhook: String(place) }, value);
    gauge('roost_webhook_queue_events', queuedEvents);
    gauge('roost_webhook_queue_bytes', queuedBytes);
    gauge('roost_webhook_failing', problem === null ? 0 : 1);
  }
}

function isUp(state: WorkerMetrics['info']['state']): boolean {
  return state === 'ready' || state === 'draining';
}

function addProcess(families: Families, worker: string, metrics: ProcessMetrics): void {
  for (const [counter, count] of summedUp(metrics.counters)) {
    if (TOLD_BY_WORKER.has(counter) || !isTold(counter, count, worker === MASTER)) continue;
    const { name, help, labels } = counterMetric(counter);
    families.counter(name, help, { worker, ...labels }, count);
  }
  for (const total of TOTAL_NAMES) {
    const value = metrics.totals[total];
    if (value === undefined) continue;
    const { name, help, labels } = totalMetric(total);
    families.counter(name, help, { worker, ...labels }, value);
  }
  for (const gauge of GAUGE_NAMES) {
    const value = metrics.gauges[gauge];
    if (value === undefined) continue;
    const { name, help, labels } = gaugeMetric(gauge);
    families.gauge(name, help, { worker, ...labels }, value);
  }
  for (const histogram of HISTOGRAM_NAMES) {
    const values = metrics.histograms[histogram];
    if (values === undefined) continue;
    const { name, help, labels } = histogramMetric(histogram);
    families.histogram(name, help, { worker, ...labels }, histogram, values);
  }
}

/** By names that Prometheus takes. An answer may have a series once, and `app_a.b` and `app_a-b` are the same one. */
function summedUp(counters: ProcessMetrics['counters']): Map<string, number> {
  const sums = new Map<string, number>();
  for (const [counter, count] of Object.entries(counters)) {
    const name = counterName(counter);
    sums.set(name, (sums.get(name) ?? 0) + count);
  }
  return sums;
}

// oxlint-disable typescript/no-unsafe-type-assertion -- the keys of constants.
const TOTAL_NAMES = Object.keys(TOTALS) as readonly TotalName[];
const GAUGE_NAMES = Object.keys(GAUGES) as readonly GaugeName[];
const HISTOGRAM_NAMES = Object.keys(HISTOGRAMS) as readonly HistogramName[];
