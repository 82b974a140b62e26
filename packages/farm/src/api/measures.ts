/** What only grows, but is no count of events: amounts. The unit is the last word of the name. */
export const TOTALS = {
  received_bytes:
    'Bytes received from clients, after decryption. Of plain HTTP only the first bytes of a connection are counted.',
  sent_bytes:
    'Bytes that the kernel, or TLS, has taken for clients, before encryption. Without the answers to plain HTTP.',
  cpu_user_seconds: 'CPU time of the process in its own code.',
  cpu_system_seconds: 'CPU time of the process in the kernel.',
  event_loop_busy_seconds: 'Time in which the event loop did something other than wait.',
} as const;

/** The name of an amount that only grows. */
export type TotalName = keyof typeof TOTALS;

/** What goes up and down. Some are of the master only, some of workers only. */
export const GAUGES = {
  capacity: 'The most connections that the worker takes.',
  subscriptions: 'Pairs of a connection and a channel.',
  channels: 'Channels with subscribers on this worker.',
  presence_members:
    'Pairs of a connection and a channel of which its user is a member, on this worker: a user counts once for each connection.',
  presence_channels: 'Channels with members on this worker.',
  outbound_queues: 'Connections with an outbound queue: they read more slowly than they are sent to.',
  outbound_queue_bytes:
    'Memory of the outbound queues of slow readers; bounded by maxOutboundBytesPerWorker.',
  broadcast_queue_bytes:
    'Memory of publications that wait for their fan-out; bounded by maxBroadcastQueueBytes.',
  inbound_buffer_bytes:
    'Memory of messages and request heads that have not fully arrived; bounded by maxInboundBytesPerWorker.',
  unacknowledged_handoffs:
    'Sockets that the master has given to the worker, which has not acknowledged them.',
  link_queue_bytes:
    'Memory of what waits on the link from the master to the worker; bounded by maxWorkerLinkBytes.',
  broker_ready: '1 while the broker of the worker is connected, else 0.',
  descriptors: 'Open descriptors of the process.',
  descriptors_max: 'The most descriptors that the process may open (RLIMIT_NOFILE).',
  resident_bytes: 'Memory of the process, with all that it shares with others (RSS).',
  proportional_bytes:
    'Memory of the process, with its share of what it shares with others (PSS): the sum over all processes is what the farm takes.',
  heap_used_bytes: 'Memory of living JavaScript objects, and of dead ones that are not collected yet.',
  heap_total_bytes: 'Memory of the JavaScript heap.',
  external_bytes: 'Memory outside of the heap that JavaScript objects keep: buffers, and the table of rows.',
  tcp_sample_connections: 'Connections of the last sample of TCP_INFO.',
  tcp_sample_silent_connections:
    'Of these, connections whose client has acknowledged nothing since a retransmission timeout.',
  tcp_sample_retransmitted_ratio:
    'Of the segments that the connections of the sample have sent since they began, the part that was sent again; 0 to 1.',
} as const;

/** The name of what goes up and down. */
export type GaugeName = keyof typeof GAUGES;
