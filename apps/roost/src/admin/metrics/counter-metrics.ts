import { COUNTERS } from '@roost/farm';
import type { CounterName } from '@roost/farm';
import { PUSHER_COUNTERS } from '../../worker/dialects/pusher/counters.ts';

/** Counters that are told as one metric, with a label that tells them apart: their sum means something. */
export interface CounterGroup {
  /** Without `_total`. */
  readonly name: string;
  readonly help: string;
  readonly label: string;
  /** The label's value for each of its counters. */
  readonly members: Readonly<Partial<Record<CounterName, string>>>;
}

export const COUNTER_GROUPS: readonly CounterGroup[] = [
  {
    name: 'roost_handoffs',
    help: 'Sockets on their way from the master to a worker, by what became of them.',
    label: 'outcome',
    members: { handoffs: 'acknowledged', handoffs_placed_again: 'placed_again', handoffs_lost: 'lost' },
  },
  {
    name: 'roost_accept_pauses',
    help: 'Pauses in accepting, by reason; clients waited in the listen queue.',
    label: 'reason',
    members: { accept_pauses: 'no_room', accept_rate_pauses: 'rate', accept_errors: 'error' },
  },
  {
    name: 'roost_refusals',
    help: 'Clients refused before they were connections, by reason.',
    label: 'reason',
    members: {
      refused_not_tls: 'not_tls',
      refused_bad_request: 'bad_request',
      refused_not_proxied: 'not_proxied',
      refused_proxy_header: 'proxy_header',
      refused_origin: 'origin',
      refused_by_app: 'by_app',
      refused_app_error: 'app_error',
      refused_handshake_timeout: 'handshake_timeout',
      refused_upgrade_timeout: 'upgrade_timeout',
      refused_subscribe: 'subscribe',
      refused_address_connections: 'address_connections',
      refused_address_rate: 'address_rate',
      refused_limit: 'limit',
      refused_handshakes: 'handshakes',
      refused_inbound_bytes: 'inbound_bytes',
      refused_draining: 'draining',
    },
  },
  {
    name: 'roost_token_refusals',
    help: 'Clients refused, or closed, because of their token, by reason.',
    label: 'reason',
    members: {
      token_missing: 'missing',
      token_repeated: 'repeated',
      token_malformed: 'malformed',
      token_algorithm: 'algorithm',
      token_key: 'key',
      token_signature: 'signature',
      token_expired: 'expired',
      token_not_yet_valid: 'not_yet_valid',
      token_issuer: 'issuer',
      token_audience: 'audience',
      token_channel: 'channel',
      token_publish: 'publish',
      token_keys_unavailable: 'keys_unavailable',
    },
  },
  {
    name: 'roost_tls_handshakes',
    help: 'TLS handshakes, by outcome.',
    label: 'outcome',
    members: { tls_handshakes: 'completed', tls_handshakes_failed: 'failed' },
  },
  {
    name: 'roost_enforced_closes',
    help: 'Connections that the farm has closed or ended for what they, or their clients, did or did not do, by reason.',
    label: 'reason',
    members: {
      closed_heartbeat: 'heartbeat',
      closed_slow_consumer: 'slow_consumer',
      closed_outbound_bytes: 'outbound_bytes',
      ended_outbound_bytes: 'outbound_bytes_begun',
      closed_message_rate: 'message_rate',
      closed_message_timeout: 'message_timeout',
      closed_token_expired: 'token_expired',
      inflate_failures: 'inflate_failure',
      inflate_bombs: 'inflate_bomb',
      wakes_refused: 'awake_limit',
    },
  },
  {
    name: 'roost_dropped_messages',
    help: 'Messages dropped from the outbound queues of slow readers, by the bound that was reached.',
    label: 'reason',
    members: {
      messages_dropped_slow_consumer: 'slow_consumer',
      messages_dropped_outbound_bytes: 'outbound_bytes',
    },
  },
  {
    name: 'roost_lost_publications',
    help: 'Publications that a worker did not send to its subscribers, by the queue that was full.',
    label: 'reason',
    members: { publications_dropped: 'broadcast_queue', publications_missed: 'link' },
  },
];

/** Told by worker, with what the master knows: see farm-metrics.ts. */
export const TOLD_BY_WORKER: ReadonlySet<string> = new Set<CounterName>(['worker_restarts']);

/** Counters of the master. All others are of workers. */
const OF_MASTER: ReadonlySet<string> = new Set<CounterName>([
  'accepted',
  'accept_errors',
  'accept_pauses',
  'accept_rate_pauses',
  'handoffs',
  'handoffs_placed_again',
  'handoffs_lost',
  'handoff_errors',
  'fork_errors',
  'moves',
  'moves_stopped',
  'reloads',
  'reloads_stopped',
  'worker_heap_exhaustions',
  'worker_lags',
  'worker_kills',
  'worker_starvations',
  'master_errors',
  'log_lines_lost',
  'refusals_closed',
  'broadcast_turns_expired',
]);

const OF_BOTH: ReadonlySet<string> = new Set<CounterName>([
  'addresses_untracked',
  'refused_address_connections',
  'refused_address_rate',
  'watch_errors',
]);

/**
 * Whether a count of the master's, or of a worker's, is told. One that can only be 0 is not; all others are from the start, since
 * Prometheus sees no increase from nothing to 1.
 */
export function isTold(counter: string, count: number, isMaster: boolean): boolean {
  return count > 0 || OF_BOTH.has(counter) || OF_MASTER.has(counter) === isMaster;
}

/** What a counter is as a metric. */
export interface CounterMetric {
  /** Without `_total`. */
  readonly name: string;
  readonly help: string;
  /** Its own, beside `worker`. */
  readonly labels: Readonly<Record<string, string>>;
}

const GROUPED = new Map<string, CounterMetric>(
  COUNTER_GROUPS.flatMap(({ name, help, label, members }) =>
    Object.entries(members).map(([counter, value]): [string, CounterMetric] => [
      counter,
      { name, help, labels: { [label]: value } },
    ]),
  ),
);

const MEANINGS: Readonly<Record<string, string>> = { ...COUNTERS, ...PUSHER_COUNTERS };

/** With what Prometheus does not take in a name replaced: applications call their counters as they like. */
export function counterName(counter: string): string {
  return counter.replaceAll(/[^a-zA-Z0-9_]/g, '_');
}

/** Also for a counter of an application, whatever its name. */
export function counterMetric(counter: string): CounterMetric {
  const grouped = GROUPED.get(counter);
  if (grouped !== undefined) return grouped;
  return {
    name: `roost_${counterName(counter)}`,
    help: MEANINGS[counter] ?? 'Counted by the application.',
    labels: {},
  };
}
