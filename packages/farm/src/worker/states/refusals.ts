import type { CounterName } from '../../api/counters.ts';

/** An HTTP response to a request that is refused. */
export interface Refusal {
  readonly status: number;
  /** The body: a sentence for whoever reads the client's log. */
  readonly reason: string;
  readonly counter: CounterName;
  /** The client may try again then, in seconds. */
  readonly retryAfterSeconds?: number;
}

const RETRY_SOON = { retryAfterSeconds: 5 };
const TOO_MANY = { status: 429, reason: 'too many connections from this address', ...RETRY_SOON };

/**
 * Each reason for which a worker itself refuses a request. Errors in the request head are described by the parser of
 * @roost/websocket instead, and an application's rejection by the application.
 */
export const REFUSALS = {
  notTls: { status: 400, reason: 'this port speaks TLS: use wss:// or https://', counter: 'refused_not_tls' },
  originNotAllowed: {
    status: 403,
    reason: 'pages of this origin may not connect',
    counter: 'refused_origin',
  },
  noApp: { status: 404, reason: 'nothing serves this path', counter: 'refused_by_app' },
  headTimeout: {
    status: 408,
    reason: 'the request head did not arrive in time',
    counter: 'refused_handshake_timeout',
  },
  limitedAddress: { ...TOO_MANY, counter: 'refusals_answered' },
  addressConnections: { ...TOO_MANY, counter: 'refused_address_connections' },
  addressRate: { ...TOO_MANY, counter: 'refused_address_rate' },
  appFailed: { status: 500, reason: 'the application failed', counter: 'refused_app_error' },
  draining: {
    status: 503,
    reason: 'the server is shutting down',
    counter: 'refused_draining',
    ...RETRY_SOON,
  },
  noPlace: {
    status: 503,
    reason: 'the server is at its connection limit',
    counter: 'refused_limit',
    ...RETRY_SOON,
  },
  noMemory: {
    status: 503,
    reason: 'the server is short of memory for requests',
    counter: 'refused_inbound_bytes',
    ...RETRY_SOON,
  },
  tooManyUpgrades: {
    status: 503,
    reason: 'too many upgrades are waiting',
    counter: 'refused_handshakes',
    ...RETRY_SOON,
  },
  upgradeTimeout: {
    status: 503,
    reason: 'the upgrade took too long',
    counter: 'refused_upgrade_timeout',
    ...RETRY_SOON,
  },
  notConfirmed: {
    status: 503,
    reason: 'the broker did not confirm the channels',
    counter: 'refused_subscribe',
    ...RETRY_SOON,
  },
} as const satisfies Record<string, Refusal>;

/** The channels that an application has asked for cannot be had; `problem` says why. */
export function badChannels(problem: string): Refusal {
  return { status: 400, reason: problem, counter: 'refused_by_app' };
}
