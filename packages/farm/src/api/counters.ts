import { CloseCounts } from './close-counts.ts';

/**
 * Everything that the farm counts, with its meaning. docs/reference/counters.md is checked against this table. The
 * counts are sums over the master and its workers since the farm started.
 */
export const COUNTERS = {
  accepted: 'Sockets accepted by the master.',
  accept_errors: 'accept(2) failed for lack of descriptors or memory; accepting paused for a moment.',
  accept_pauses: 'Accepting paused because no worker had room; clients waited in the listen queue.',
  accept_rate_pauses: 'Accepting paused because acceptRate was used up; clients waited in the listen queue.',
  handoffs: 'Sockets that a worker has acknowledged.',
  handoffs_placed_again: 'Sockets given to another worker because the first died or had no descriptor left.',
  handoffs_lost: 'Sockets that no worker could take before the farm stopped.',
  moves: 'Moves of connections from one worker to another that began.',
  moves_stopped: 'Moves of connections that ended before all that was to move had moved.',
  reloads: 'Reloads that have replaced every worker.',
  reloads_stopped: 'Reloads that stopped in the middle; the log says why.',
  moved_in: 'Connections that came to a worker from another.',
  moved_out: 'Connections that a worker gave to another.',
  move_batches: 'Batches of connections that were given to another worker.',
  move_batches_resumed: 'Batches that went on where they were, because the other worker did not take them.',
  move_refused_broker:
    'Batches that stayed because the broker of a worker was away, or did not confirm their channels.',
  move_refused_server:
    'Batches that stayed because the two workers are connected to different servers of the broker, which have no common order.',
  move_refused_full: 'Batches that stayed because the other worker had no place, or no descriptor, for them.',
  move_refused_timeout: 'Batches that stayed because a mark or an answer did not come in moveTimeoutMs.',
  move_rows_postponed:
    'Times a move waited for a connection whose hook, subscription or upgrade was under way (handoverGraceMs).',
  moves_hooks_pending:
    'Connections that moved while a hook was under way, because handoverGraceMs were over.',
  moves_left_attachment:
    'Times a connection stayed because its attachment could not be serialised any more, or not be read where it was to go.',
  moves_left_awake: 'Times a connection stayed because ws was about to end it.',
  moves_closed: 'Connections that ended because their worker died while they were on their way.',
  move_position_mismatch:
    'Connections of which a move has changed the streams (verifyMoves), which is a bug: please report it.',
  move_publications_kept: 'Publications kept for connections that were on their way.',
  worker_restarts: 'Workers that died and were started again.',
  fork_errors:
    'Workers that could not be forked for lack of descriptors, processes or memory; the fork was repeated later.',
  worker_lags:
    'Times a worker took longer than workerLagMs to acknowledge a hand-off; new sockets went to other workers.',
  worker_kills: 'Workers killed by the master because they were stuck or silent, or did not start in time.',
  worker_starvations:
    'Times a worker did not answer because other processes had its CPU, or a quota was used up; it was left alone. Counted at most once a minute for each worker.',
  worker_heap_exhaustions: 'Workers that V8 ended because their JavaScript heap was full (workerHeapMb).',
  master_errors:
    'Unexpected exceptions in the master, each of which ended one action; the master went on, and the log has their stacks: please report them.',
  watch_errors:
    'Times epoll_ctl(2) had no memory or no watches left (fs.epoll.max_user_watches): a worker ended the connection, the master repeated the call.',
  handoff_errors:
    'Times the kernel could not pass sockets to a worker, for lack of memory or because too many were under way; repeated later.',
  upgrades: 'Connections opened: the 101 was sent.',
  upgrades_compressed: 'Connections that agreed on compression.',
  http_connections: 'Connections that turned out to be plain HTTP.',
  tls_handshakes: 'TLS handshakes completed.',
  tls_resumptions:
    'TLS handshakes among these that resumed a session: no certificate, and no private-key operation.',
  tls_handshakes_failed:
    'TLS handshakes that failed: the client does not trust the certificate, speaks only older versions or h2, or went away.',
  tls_handshakes_held_back:
    'TLS handshakes that waited because maxTlsHandshakesPerAddress of their address were under way.',
  tls_reload_errors: 'Workers that could not use a new certificate and kept the old one.',
  refused_not_tls:
    'Clients refused with 400, in plain text, because they did not begin with a TLS handshake.',
  refused_bad_request: 'Request heads refused with 400, 405, 431, 501 or 505.',
  refused_not_proxied:
    'Connections ended at once because proxyProtocol is required and their address is not in trustedProxies.',
  refused_proxy_header:
    'Connections of trusted proxies ended because their PROXY header was malformed, or required and missing.',
  forwarded_for_malformed:
    'Upgrades whose X-Forwarded-For, from a trusted proxy, had an entry that is not an address.',
  refused_origin: 'Upgrades refused with 403 because the origin of their page is not in allowedOrigins.',
  refused_by_app: 'Upgrades that an upgrade hook refused, or that no app accepted (404).',
  refused_app_error: 'Upgrades refused with 500 because an upgrade hook threw or rejected.',
  refused_handshake_timeout:
    'Connections ended because the request head did not arrive in handshakeTimeoutMs, or the first HTTP request in httpRequestTimeoutMs.',
  refused_upgrade_timeout:
    'Upgrades refused with 503 because the hook or its subscriptions took longer than upgradeTimeoutMs.',
  refused_subscribe: 'Upgrades refused with 503 because the broker did not confirm their channels.',
  refused_address_connections:
    'Sockets refused, or upgrades of clients behind a trusted proxy, because their address had maxConnectionsPerAddress.',
  refused_address_rate:
    'Sockets refused, or upgrades of clients behind a trusted proxy, because their address connected faster than acceptRatePerAddress.',
  refusals_answered: 'Sockets over a limit of their address that were answered with 429.',
  refusals_closed:
    'Sockets over a limit of their address that were closed at once, because maxRefusalsPerSecond or the connections reserved for refusals were used up.',
  addresses_untracked:
    'Sockets and upgrades that entered without a limit per address, because maxTrackedAddresses were remembered.',
  refused_limit: 'Upgrades refused with 503 because the farm was at its connection limit.',
  refused_handshakes: 'Upgrades refused with 503 because maxHandshakes were waiting.',
  refused_inbound_bytes:
    'Heads refused with 503 and connections closed with 1013 because maxInboundBytesPerWorker was reached.',
  refused_draining: 'Upgrades refused with 503 because the farm is draining.',
  token_missing: 'Upgrades refused with 401 because they need a token and did not show one.',
  token_repeated: 'Upgrades refused with 400 because they showed more than one token.',
  token_malformed:
    'Upgrades refused with 401 because their token is not a JWT, or has claims of wrong types.',
  token_algorithm: 'Upgrades refused with 401 because the key does not allow the algorithm of their token.',
  token_key: 'Upgrades refused with 401 because their token is signed with an unknown key.',
  token_signature: 'Upgrades refused with 401 because the signature of their token is wrong.',
  token_expired: 'Upgrades refused with 401 because their token has expired.',
  token_not_yet_valid: 'Upgrades refused with 401 because their token is not valid yet.',
  token_issuer: 'Upgrades refused with 401 because their token comes from another issuer.',
  token_audience: 'Upgrades refused with 401 because their token is meant for another audience.',
  token_channel: 'Upgrades of /plain refused with 403 because their token does not cover a channel.',
  token_publish: 'Clients of /plain closed with 4501 because their token does not let them publish.',
  token_keys_unavailable: 'Upgrades refused with 503 because the keys for tokens could not be fetched.',
  upgrades_abandoned: 'Clients that went away while their upgrade was being decided.',
  messages_received: 'Messages given to applications.',
  messages_sent: 'Messages accepted for single connections (broadcasts not included).',
  messages_inflated: 'Compressed messages from clients that were inflated.',
  messages_compressed: 'Messages that were compressed for single connections (broadcasts not included).',
  publications_compressed:
    'Publications that were compressed: once per worker, whatever the number of subscribers.',
  inflate_failures: 'Connections closed with 1007 because a compressed message was corrupt.',
  inflate_bombs:
    'Connections closed with 1009 because a compressed message was larger than maxMessageBytes when inflated.',
  app_errors:
    'Errors of applications: hooks that threw or rejected (which closes their connection with 1011), and exceptions and rejections outside of hooks.',
  wakes: 'Connections woken for ws to read them: fragments, close frames, protocol errors.',
  hibernations: 'Awake connections that hibernated again.',
  collections:
    'Garbage collections requested after the start, and after many connections opened or hibernated.',
  wakes_refused: 'Connections closed with 1013 because maxAwakeConnections were awake.',
  closed: 'Connections that ended, for whatever reason.',
  closed_abnormally: 'Connections that ended without a closing handshake (1006).',
  closed_message_rate: 'Connections closed with 4002 because they sent more than messageRate.',
  closed_message_timeout:
    'Connections closed with 4001 because a message did not arrive in messageTimeoutMs.',
  closed_token_expired: 'Connections closed with 4003 because their token had expired.',
  closed_heartbeat: 'Connections ended because nothing was received after a ping.',
  stalls:
    'Times a worker did not run for more than a second (a blocked loop, SIGSTOP, a suspended machine); that time does not count as silence of its clients.',
  closed_to_return_at_once:
    'Connections that a drain closed with the code by which clients of their app come back at once.',
  closed_slow_consumer: 'Connections closed with 4000 because their outbound queue was full.',
  close_timeouts:
    'Connections ended because the client did not answer a close frame, or did not read a refusal.',
  messages_dropped_slow_consumer: 'Messages dropped for slow consumers (policy drop).',
  closed_outbound_bytes:
    'Connections closed with 4000 because maxOutboundBytesPerWorker was reached and their outbound queue was among the longest.',
  messages_dropped_outbound_bytes:
    'Waiting messages dropped from the longest outbound queues because maxOutboundBytesPerWorker was reached (policy drop).',
  ended_outbound_bytes:
    'Connections ended without a close frame because maxOutboundBytesPerWorker was reached and the frames that they had begun to receive left no room.',
  pings_sent: 'Heartbeat pings.',
  publications: 'Publications received from the broker for channels with subscribers here.',
  deliveries: 'Frames of publications handed to the kernel or to outbound queues.',
  publications_dropped:
    'Publications dropped because maxBroadcastQueueBytes were waiting, and their channel had used its share or had one of the longest queues.',
  publications_missed:
    'Publications that the master dropped for a worker because maxWorkerLinkBytes were waiting for it, or its channel had used its share of that.',
  broker_pauses:
    'Times a worker paused reading from the broker, for at most 250 ms, because much was waiting for its fan-out and no channel had more than its share.',
  broadcast_turns:
    'Times a worker waited for a lease of its CPU before it broadcast to a large channel, because other workers share the CPU.',
  broadcast_turns_expired:
    'Leases that the master ended after twice broadcastTurnMs because the worker had not returned them.',
  publish_errors: 'Publishes that the broker refused or lost.',
  broker_reconnects: 'Times the broker of a worker was connected again after it had been away.',
  broker_gaps:
    'Times publications may have been missed because the broker was away, or the worker read too slowly.',
  broker_warnings:
    'Commands that Redis denies and the broker can do without, such as those for control messages; each is logged once.',
  resyncs:
    'Channels whose members were told what they may have missed, after publications may have been missed.',
  resync_errors:
    'Channels whose members could not be told so; their lists may be wrong until the next change or reconnection.',
  store_errors:
    'Steps of presence, counts and last events that failed: those that an application was told of, and those that are repeated.',
  store_leases_lost:
    'Times a worker was taken for dead although it lived, or Redis had lost everything: its members of channels have joined again.',
  store_owners_reaped:
    'Dead workers, and connections to Redis that are no more, whose members of channels this farm has made leave.',
  recorded_events_dropped:
    'Recorded events thrown away because maxRecordedEvents were waiting for their consumer.',
  connections_with_gap:
    'Connections that may have missed publications: after a gap of the broker, or as subscribers of dropped publications.',
  control_messages: 'Control messages carried out.',
  control_malformed: 'Control messages ignored because they were malformed or unknown.',
  logs_suppressed: 'Log lines of workers suppressed by the rate limit.',
  log_lines_lost:
    'Log lines, and lines that applications print, lost because maxLogBufferBytes were waiting: nothing read them, or the disk was full.',
} as const;

/** The name of a counter of the farm's. */
export type CounterName = keyof typeof COUNTERS;

/** What may be wrong with the token of a client, or with what it wants to do with it. */
export type TokenReason = Extract<CounterName, `token_${string}`>;

/** The counters of one process, plus those that applications declare by counting `app_…`. */
export class Counters {
  /** Those of the hot path are fields: a name would have to be looked up for every message. */
  messagesReceived = 0;
  messagesSent = 0;
  /** Ended connections by close code. */
  readonly closes = new CloseCounts();
  readonly #counts: Record<string, number> = Object.fromEntries(
    Object.keys(COUNTERS).map((name) => [name, 0]),
  );

  add(name: CounterName | `app_${string}`, count = 1): void {
    this.#counts[name] = (this.#counts[name] ?? 0) + count;
  }

  get(name: CounterName): number {
    return this.snapshot()[name] ?? 0;
  }

  snapshot(): Record<string, number> {
    return {
      ...this.#counts,
      messages_received: this.messagesReceived,
      messages_sent: this.messagesSent,
    };
  }
}

/** Adds `counts` to `sums`, name by name. */
export function addCounts(
  sums: Record<string, number>,
  counts: Readonly<Partial<Record<string, number>>>,
): void {
  for (const [name, count] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + (count ?? 0);
}
