import { HISTOGRAMS } from '@roost/farm';
import type { CounterName, HistogramName, ProcessMetrics, Readiness, WorkerMetrics } from '@roost/farm';
import type { Observation } from './farm-watch.ts';
import { COUNTER_GROUPS } from './metrics/counter-metrics.ts';
import type { BucketCounts, Overview, OverviewHistogram, OverviewTotal, WorkerOverview } from './answers.ts';

const REFUSALS = COUNTER_GROUPS.filter(
  ({ name }) => name === 'roost_refusals' || name === 'roost_token_refusals',
).flatMap(({ members }) => Object.keys(members));

/** Which counters each total adds up. */
const TOTALS: Readonly<Record<Exclude<OverviewTotal, 'receivedBytes' | 'sentBytes'>, readonly string[]>> = {
  opened: named('upgrades'),
  closed: named('closed'),
  refused: REFUSALS,
  messagesReceived: named('messages_received'),
  messagesSent: named('messages_sent'),
  publications: named('publications'),
  deliveries: named('deliveries'),
  dropped: named(
    'messages_dropped_slow_consumer',
    'messages_dropped_outbound_bytes',
    'publications_dropped',
    'publications_missed',
  ),
};

const HISTOGRAM_NAMES: Readonly<Record<OverviewHistogram, HistogramName>> = {
  broadcast: 'broadcast_duration_seconds',
  loopDelay: 'event_loop_delay_seconds',
  handOff: 'handoff_duration_seconds',
  rtt: 'tcp_rtt_seconds',
};

/** The figures of a farm as the dashboard shows them. */
export function overviewOf({ metrics, at }: Observation, { ready, reasons }: Readiness): Overview {
  const { master, workers } = metrics;
  const all: readonly ProcessMetrics[] = [master, ...workers];
  const total = (name: keyof typeof TOTALS): number => sumOf(all, ({ counters }) => counters, TOTALS[name]);
  const bytes = (name: 'received_bytes' | 'sent_bytes'): number => sumOf(all, ({ totals }) => totals, [name]);
  const histogram = (name: OverviewHistogram): BucketCounts => merged(workers, HISTOGRAM_NAMES[name]);
  return {
    at,
    version: metrics.version,
    uptimeMs: metrics.uptimeMs,
    isReady: ready,
    reasons,
    broker: metrics.broker,
    workers: workers.map((worker) => workerOverview(worker)),
    unanswered: metrics.unanswered,
    totals: {
      opened: total('opened'),
      closed: total('closed'),
      refused: total('refused'),
      messagesReceived: total('messagesReceived'),
      messagesSent: total('messagesSent'),
      publications: total('publications'),
      deliveries: total('deliveries'),
      dropped: total('dropped'),
      receivedBytes: bytes('received_bytes'),
      sentBytes: bytes('sent_bytes'),
    },
    histograms: {
      broadcast: histogram('broadcast'),
      loopDelay: histogram('loopDelay'),
      handOff: histogram('handOff'),
      rtt: histogram('rtt'),
    },
  };
}

function workerOverview({ info, gauges, totals }: WorkerMetrics): WorkerOverview {
  const { worker, pid, cpu, state, restarts, connections, capacity, subscriptions } = info;
  return {
    worker,
    pid,
    cpu,
    state,
    restarts,
    connections,
    capacity,
    subscriptions,
    channels: gauges.channels ?? 0,
    queueBytes: (gauges.outbound_queue_bytes ?? 0) + (gauges.broadcast_queue_bytes ?? 0),
    residentBytes: gauges.resident_bytes ?? 0,
    descriptors: gauges.descriptors ?? 0,
    isBrokerReady: gauges.broker_ready === 1,
    busySeconds: totals.event_loop_busy_seconds ?? 0,
  };
}

function named(...names: readonly CounterName[]): readonly string[] {
  return names;
}

function sumOf(
  processes: readonly ProcessMetrics[],
  partOf: (metrics: ProcessMetrics) => Readonly<Partial<Record<string, number>>>,
  names: readonly string[],
): number {
  let sum = 0;
  for (const metrics of processes) for (const name of names) sum += partOf(metrics)[name] ?? 0;
  return sum;
}

function merged(workers: readonly WorkerMetrics[], name: HistogramName): BucketCounts {
  const { bounds } = HISTOGRAMS[name];
  const counts = Array.from({ length: bounds.length + 1 }, () => 0);
  for (const { histograms } of workers) {
    for (const [bucket, count] of (histograms[name]?.counts ?? []).entries()) {
      counts[bucket] = (counts[bucket] ?? 0) + count;
    }
  }
  return { bounds, counts };
}
