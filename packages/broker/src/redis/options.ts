import type { BrokerHandlers, WantedChannels } from '../broker.ts';
import { BrokerError } from '../errors.ts';
import { SUBSCRIBE_TIMEOUT_MS, UNSUBSCRIBE_LINGER_MS } from '../subscription-table.ts';

export interface RedisBrokerOptions {
  readonly handlers: BrokerHandlers;
  readonly wanted: WantedChannels;
  /**
   * `redis://[user:password@]host[:port][/db]`, `rediss://…` for TLS, or the path of a Unix socket.
   * Pub/sub ignores the database number; it only decides whether the connection is accepted.
   */
  readonly url: string;
  /** What all keys begin with. Brokers with different prefixes do not hear each other. Default `roost:`. */
  readonly prefix?: string;
  /** A connection not ready after this many ms is given up and tried again. Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** Longest pause between two attempts to connect, in ms; the first is 25 to 50 ms. Default 2,000. */
  readonly maxRetryDelayMs?: number;
  /**
   * Most bytes of publishes that Redis has not answered yet; one counts its payload plus 512 bytes. Beyond,
   * `publish` rejects with `BROKER_OVERLOADED`; so does one larger payload. Default 16 MiB.
   */
  readonly maxInFlightBytes?: number;
  /**
   * When Redis answers no publish for this many ms while some are under way, they are given up with
   * `BROKER_OUTCOME_UNKNOWN` and the connection is made anew. Default 5,000.
   */
  readonly publishTimeoutMs?: number;
  /** How long `subscribe` waits for Redis, in ms, before `BROKER_SUBSCRIBE_TIMEOUT`. Default 5,000. */
  readonly subscribeTimeoutMs?: number;
  /** How long a subscription outlives its last local subscriber, in ms. Default 2,000. */
  readonly unsubscribeLingerMs?: number;
  /** After this many ms without anything on the subscriber connection it is probed. Default 10,000. */
  readonly probeIntervalMs?: number;
  /** A probe that has not come back after this many ms means new connections. Default 5,000. */
  readonly probeTimeoutMs?: number;
}

/** What the broker runs on: every option decided. */
export interface RedisBrokerConfig {
  readonly url: string;
  /** The URL without credentials, for messages. */
  readonly shownUrl: string;
  readonly prefix: string;
  readonly connectTimeoutMs: number;
  readonly maxRetryDelayMs: number;
  readonly maxInFlightBytes: number;
  readonly publishTimeoutMs: number;
  readonly subscribeTimeoutMs: number;
  readonly unsubscribeLingerMs: number;
  readonly probeIntervalMs: number;
  readonly probeTimeoutMs: number;
}

/** Throws `BROKER_INVALID_OPTION` for a URL that cannot be one. */
export function resolveOptions(options: RedisBrokerOptions): RedisBrokerConfig {
  return Object.freeze({
    url: options.url,
    shownUrl: withoutCredentials(options.url),
    prefix: options.prefix ?? 'roost:',
    connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
    maxRetryDelayMs: options.maxRetryDelayMs ?? 2_000,
    maxInFlightBytes: options.maxInFlightBytes ?? 16 * 1024 * 1024,
    publishTimeoutMs: options.publishTimeoutMs ?? 5_000,
    subscribeTimeoutMs: options.subscribeTimeoutMs ?? SUBSCRIBE_TIMEOUT_MS,
    unsubscribeLingerMs: options.unsubscribeLingerMs ?? UNSUBSCRIBE_LINGER_MS,
    probeIntervalMs: options.probeIntervalMs ?? 10_000,
    probeTimeoutMs: options.probeTimeoutMs ?? 5_000,
  });
}

/** Only scheme, host, port and database: passwords stand before the host or, misplaced, in the query. */
function withoutCredentials(url: string): string {
  if (url.startsWith('/')) return url.replace(/\?.*$/s, '');
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !['redis:', 'rediss:'].includes(parsed.protocol) || parsed.hostname === '') {
    // The value is not shown: what is malformed may well contain the password.
    throw new BrokerError(
      'BROKER_INVALID_OPTION',
      `The URL of Redis must look like redis://[user:password@]host[:port][/db], rediss://… or /path/of/a.sock, got ${url.length} characters that do not.`,
    );
  }
  const path = parsed.pathname === '/' ? '' : parsed.pathname;
  return `${parsed.protocol}//${parsed.hostname}:${parsed.port === '' ? '6379' : parsed.port}${path}`;
}
