import type { BrokerHandlers, WantedChannels } from '../broker.ts';
import type { ChannelStoreOptions } from '../channel-store.ts';
import { BrokerError } from '../errors.ts';
import { parseRedisUrl, REDIS_URL_ALLOWED, RedisUrlError } from './redis-url.ts';
import type { RedisLocation } from './redis-url.ts';
import { SUBSCRIBE_TIMEOUT_MS, UNSUBSCRIBE_LINGER_MS } from '../subscription-table.ts';

export interface RedisBrokerOptions {
  readonly handlers: BrokerHandlers;
  readonly wanted: WantedChannels;
  /**
   * `redis://[user:password@]host[:port][/db]`, `rediss://…` for TLS, `unix://[user:password@]/path` or only the path of a
   * Unix socket, `redis+sentinel://[user:password@]host[:port],…/master-name` or `rediss+sentinel://…`. User and password
   * are percent-encoded. See {@link redisUrlProblem}. Pub/sub ignores the database number; the
   * channel store does not.
   */
  readonly url: string;
  /** What all keys begin with. Brokers with different prefixes do not receive each other's messages. Default `roost:`. */
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
   * `BROKER_OUTCOME_UNKNOWN` and the connection is renewed. Default 5,000.
   */
  readonly publishTimeoutMs?: number;
  /** How long `subscribe` waits for Redis, in ms, before `BROKER_SUBSCRIBE_TIMEOUT`. Default 5,000. */
  readonly subscribeTimeoutMs?: number;
  /** How long a subscription outlives its last local subscriber, in ms. Default 2,000. */
  readonly unsubscribeLingerMs?: number;
  /** After this many ms without anything on the subscriber connection it is probed. Default 10,000. */
  readonly probeIntervalMs?: number;
  /** If a probe has not returned after this many ms, the connections are renewed. Default 5,000. */
  readonly probeTimeoutMs?: number;
  /**
   * How often, in ms, Redis is asked whether it is still the master: for that long publications may be lost after a
   * failover that cuts no connection. Default 2,000.
   */
  readonly roleIntervalMs?: number;
  /** Of {@link Broker.store}. */
  readonly channelStore?: ChannelStoreOptions;
}

/** What the broker runs on: every option decided. */
export interface RedisBrokerConfig {
  readonly location: RedisLocation;
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
  readonly roleIntervalMs: number;
}

/** Throws `BROKER_INVALID_OPTION` for a URL that cannot be one. */
export function resolveOptions(options: RedisBrokerOptions): RedisBrokerConfig {
  const location = locationOf(options.url);
  return Object.freeze({
    location,
    shownUrl: location.shown,
    prefix: options.prefix ?? 'roost:',
    connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
    maxRetryDelayMs: options.maxRetryDelayMs ?? 2_000,
    maxInFlightBytes: options.maxInFlightBytes ?? 16 * 1024 * 1024,
    publishTimeoutMs: options.publishTimeoutMs ?? 5_000,
    subscribeTimeoutMs: options.subscribeTimeoutMs ?? SUBSCRIBE_TIMEOUT_MS,
    unsubscribeLingerMs: options.unsubscribeLingerMs ?? UNSUBSCRIBE_LINGER_MS,
    probeIntervalMs: options.probeIntervalMs ?? 10_000,
    probeTimeoutMs: options.probeTimeoutMs ?? 5_000,
    roleIntervalMs: options.roleIntervalMs ?? 2_000,
  });
}

function locationOf(url: string): RedisLocation {
  try {
    return parseRedisUrl(url);
  } catch (error) {
    if (!(error instanceof RedisUrlError)) throw error;
    // The value is not shown: what is malformed may well contain the password.
    throw new BrokerError(
      'BROKER_INVALID_OPTION',
      `The URL of Redis must be ${REDIS_URL_ALLOWED}, got ${url.length} characters that are none: ${error.message}.`,
    );
  }
}
