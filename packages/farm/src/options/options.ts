import { CHANNEL_EVENT_TYPES } from '@roost/broker';
import type { ChannelEventType } from '../api/channel-events.ts';
import { isOriginPattern, MAX_ALLOWED_ORIGINS } from './allowed-origins.ts';
import { FarmError } from '../api/errors.ts';
import { LIMITS, type LimitName, type Limits } from './limits.ts';
import type { Log } from '../api/log.ts';
import { RENAMED_OPTIONS } from './renamed.ts';
import { REDIS_URL_ALLOWED, redisUrlProblem } from './redis-url.ts';
import type { TlsOptions } from '../api/tls.ts';
import { isAddressRange, MAX_TRUSTED_PROXIES } from './trusted-proxies.ts';

/** Twice as many channel names as the embedded broker puts into one message. */
const NAMES_BUFFERED = 256;

/** Three keepalive probes, one every 10 seconds: see ListenOptions of the poller. */
const KEEP_ALIVE_PROBES_SECONDS = 30;

/** Twice the time between two reports of a worker. */
const LEAST_WORKER_TIMEOUT_MS = 2000;
const LEAST_WORKER_HEAP_MB = 32;

/** Limits that need not be integers. */
const FRACTIONS: ReadonlySet<LimitName> = new Set(['broadcastSliceMs', 'rebalanceSkew']);

/** What a slow consumer gets when its outbound queue is full: `close` ends it (4000), `drop` skips the message. */
export type SlowConsumerPolicy = 'close' | 'drop';

/**
 * Whether trusted proxies send the header of the PROXY protocol: `off` never, `optional` some or sometimes, `required`
 * always, and then no other client may connect.
 */
export type ProxyProtocol = 'off' | 'optional' | 'required';

/**
 * What an exception of an app outside of its hooks does (in a timer, in a listener): `exit` logs it and ends its worker
 * with all its connections, `log` only logs it.
 */
export type UncaughtExceptionPolicy = 'exit' | 'log';

/** What a user may write. */
export interface FarmOptions extends Partial<Limits> {
  /** The module whose default export is the app ({@link defineApp}): an absolute path or a file: URL. */
  readonly app: string | URL;
  /** Structured data handed to the app's factory in each worker as `options` of its context. Default: undefined. */
  readonly appOptions?: unknown;
  /** Numeric address to listen on. Default `0.0.0.0`. */
  readonly host?: string;
  /** 0 to 65,535; 0 lets the kernel choose: see {@link Farm.port}. Default 8080. */
  readonly port?: number;
  /** Worker processes, 1 to 1024. Default: one for each CPU that this process may use. */
  readonly workers?: number;
  /**
   * `redis://`, `rediss://`, `unix://`, `redis+sentinel://` or `rediss+sentinel://`, with user and password percent-encoded.
   * Without it the embedded broker serves this farm alone.
   */
  readonly redisUrl?: string;
  /** Prefix of the keys in Redis. Default `roost:`. */
  readonly redisPrefix?: string;
  /**
   * What happens in channels that is recorded for `channelEvents` of the farm. All farms on one Redis should have the same.
   * Default: nothing.
   */
  readonly recordedEvents?: readonly ChannelEventType[];
  /** Default `close`. */
  readonly slowConsumerPolicy?: SlowConsumerPolicy;
  /**
   * Addresses and CIDR blocks, IPv4 and IPv6, of the proxies whose word on the client's address is taken: their
   * `X-Forwarded-For` and, with {@link proxyProtocol}, their PROXY header. At most 1,024. Default: none.
   */
  readonly trustedProxies?: readonly string[];
  /** The PROXY protocol, version 1 or 2. Needs {@link trustedProxies}, and is read from them only. Default `off`. */
  readonly proxyProtocol?: ProxyProtocol;
  /**
   * Origins of the web pages whose scripts may connect: `https://app.example.com`, `https://*.example.com` (subdomains
   * at any depth), `http://localhost:*` (any port), `null`, or `*`. Others get 403; requests without an origin are not
   * from browsers and pass. At most 1,024. Default: none, which accepts all origins.
   */
  readonly allowedOrigins?: readonly string[];
  /**
   * Agrees on compression (permessage-deflate, RFC 7692) with clients that offer it, without context takeover in either
   * direction. Default false.
   */
  readonly compression?: boolean;
  /** Gives message hooks views that are valid only until they return, saving a copy. Default false. */
  readonly borrowMessages?: boolean;
  /** Unhandled rejections are always only logged. Default `exit`. */
  readonly uncaughtException?: UncaughtExceptionPolicy;
  /** Makes the port speak TLS, and nothing else. Default: it speaks plain HTTP and WebSocket. See {@link Farm.reloadTls}. */
  readonly tls?: TlsOptions;
  /** Default: nothing is logged. */
  readonly log?: Log;
  /** Reported by info(). Default: the version of @roost/farm. */
  readonly version?: string;
}

/** What the farm runs on: no optionals. Sent to each worker as it is, but for the log. */
export interface FarmConfig extends Limits {
  readonly app: string;
  readonly appOptions: unknown;
  readonly host: string;
  readonly port: number;
  readonly workers: number;
  readonly redisUrl: string | null;
  readonly redisPrefix: string;
  readonly recordedEvents: readonly ChannelEventType[];
  readonly slowConsumerPolicy: SlowConsumerPolicy;
  readonly trustedProxies: readonly string[];
  readonly proxyProtocol: ProxyProtocol;
  readonly allowedOrigins: readonly string[];
  readonly compression: boolean;
  readonly borrowMessages: boolean;
  readonly uncaughtException: UncaughtExceptionPolicy;
  readonly version: string;
}

/** Checks options and fills in the defaults. Throws a FarmError with FARM_ERR_OPTION that names the option. */
export function resolveOptions(options: FarmOptions, defaultWorkers: number, version: string): FarmConfig {
  refuseRenamed(options);
  const limits: { -readonly [Name in LimitName]?: number } = {};
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a constant.
  for (const name of Object.keys(LIMITS) as LimitName[]) {
    const { default: fallback, min, max, unit } = LIMITS[name];
    const value: unknown = options[name] ?? fallback;
    const isNumber = typeof value === 'number' && value >= min && value <= max;
    if (!isNumber || (!FRACTIONS.has(name) && !Number.isInteger(value))) {
      throw optionError(name, value, `a number from ${min} to ${max} ${unit}`);
    }
    limits[name] = value;
  }
  const { maxMessageBytes = 0, maxInboundBytesPerWorker = 0 } = limits;
  if (maxMessageBytes > maxInboundBytesPerWorker) {
    const allowed = `at least maxMessageBytes (${maxMessageBytes}), or no such message could arrive`;
    throw optionError('maxInboundBytesPerWorker', maxInboundBytesPerWorker, allowed);
  }
  const { maxOutboundBytes = 0, maxOutboundBytesPerWorker = 0 } = limits;
  if (2 * maxOutboundBytes > maxOutboundBytesPerWorker) {
    const allowed = `at least twice maxOutboundBytes (${maxOutboundBytes}), or one queue could be all of it`;
    throw optionError('maxOutboundBytesPerWorker', maxOutboundBytesPerWorker, allowed);
  }
  const { maxChannelBytes = 0, maxWorkerLinkBytes = 0 } = limits;
  if (maxWorkerLinkBytes < maxChannelBytes * NAMES_BUFFERED) {
    const allowed = `at least ${NAMES_BUFFERED} times maxChannelBytes (${maxChannelBytes}), since workers name many at once`;
    throw optionError('maxWorkerLinkBytes', maxWorkerLinkBytes, allowed);
  }
  const { tcpKeepAliveSeconds = 0, tcpUserTimeoutMs = 0 } = limits;
  const probedMs = (tcpKeepAliveSeconds + KEEP_ALIVE_PROBES_SECONDS) * 1000;
  if (tcpKeepAliveSeconds > 0 && tcpUserTimeoutMs > 0 && tcpUserTimeoutMs < probedMs) {
    const allowed = `0, or at least ${probedMs} with tcpKeepAliveSeconds ${tcpKeepAliveSeconds}: else the kernel ends a connection when one keepalive probe is lost`;
    throw optionError('tcpUserTimeoutMs', tcpUserTimeoutMs, allowed);
  }
  const { workerTimeoutMs = 0, workerHeapMb = 0 } = limits;
  if (workerTimeoutMs > 0 && workerTimeoutMs < LEAST_WORKER_TIMEOUT_MS) {
    const allowed = `0, or at least ${LEAST_WORKER_TIMEOUT_MS}: workers report every second`;
    throw optionError('workerTimeoutMs', workerTimeoutMs, allowed);
  }
  if (workerHeapMb > 0 && workerHeapMb < LEAST_WORKER_HEAP_MB) {
    const allowed = `0, or at least ${LEAST_WORKER_HEAP_MB}: a worker needs a good part of that by itself`;
    throw optionError('workerHeapMb', workerHeapMb, allowed);
  }
  const workers = options.workers ?? defaultWorkers;
  if (!Number.isInteger(workers) || workers < 1 || workers > 1024) {
    throw optionError('workers', workers, 'an integer from 1 to 1024');
  }
  const port = options.port ?? 8080;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw optionError('port', port, 'an integer from 0 to 65535');
  }
  const redisUrl = options.redisUrl ?? null;
  const urlProblem = redisUrl === null ? undefined : redisUrlProblem(redisUrl);
  if (redisUrl !== null && urlProblem !== undefined) {
    // No part of it is shown: what is malformed may be the password.
    const received = `a value of ${redisUrl.length} characters, not shown here: ${urlProblem}`;
    throw new FarmError('FARM_ERR_OPTION', `redisUrl must be ${REDIS_URL_ALLOWED}, got ${received}.`, {
      option: 'redisUrl',
    });
  }
  const recordedEvents = checkedEventTypes(options.recordedEvents);
  const slowConsumerPolicy = options.slowConsumerPolicy ?? 'close';
  if (slowConsumerPolicy !== 'close' && slowConsumerPolicy !== 'drop') {
    throw optionError('slowConsumerPolicy', slowConsumerPolicy, '"close" or "drop"');
  }
  const uncaughtException = options.uncaughtException ?? 'exit';
  if (uncaughtException !== 'exit' && uncaughtException !== 'log') {
    throw optionError('uncaughtException', uncaughtException, '"exit" or "log"');
  }
  const trustedProxies = checkedList('trustedProxies', options.trustedProxies, {
    maxLength: MAX_TRUSTED_PROXIES,
    isAllowed: isAddressRange,
    allowed: 'addresses and CIDR blocks such as 10.0.0.0/8',
  });
  const proxyProtocol = options.proxyProtocol ?? 'off';
  if (!['off', 'optional', 'required'].includes(proxyProtocol)) {
    throw optionError('proxyProtocol', proxyProtocol, '"off", "optional" or "required"');
  }
  if (proxyProtocol !== 'off' && trustedProxies.length === 0) {
    throw optionError(
      'proxyProtocol',
      proxyProtocol,
      '"off" unless trustedProxies names the proxies that may speak it',
    );
  }
  const allowedOrigins = checkedList('allowedOrigins', options.allowedOrigins, {
    maxLength: MAX_ALLOWED_ORIGINS,
    isAllowed: isOriginPattern,
    allowed: 'origins such as https://app.example.com or https://*.example.com',
  });
  const compression = options.compression ?? false;
  const { minCompressBytes = 0, maxCompressBytes = 0 } = limits;
  if (compression && minCompressBytes > maxCompressBytes) {
    const allowed = `at most maxCompressBytes (${maxCompressBytes}), or no message would be compressed`;
    throw optionError('minCompressBytes', minCompressBytes, allowed);
  }
  return Object.freeze({
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the loop above has set them all.
    ...(limits as Limits),
    app: options.app.toString(),
    appOptions: options.appOptions ?? null,
    host: options.host ?? '0.0.0.0',
    port,
    workers,
    redisUrl,
    redisPrefix: options.redisPrefix ?? 'roost:',
    recordedEvents,
    slowConsumerPolicy,
    trustedProxies,
    proxyProtocol,
    allowedOrigins,
    compression,
    borrowMessages: options.borrowMessages ?? false,
    uncaughtException,
    version: options.version ?? version,
  });
}

interface ListRule {
  readonly maxLength: number;
  readonly isAllowed: (element: string) => boolean;
  /** In words that can follow "a list of". */
  readonly allowed: string;
}

function checkedEventTypes(types: FarmOptions['recordedEvents']): readonly ChannelEventType[] {
  const checked = checkedList('recordedEvents', types, {
    maxLength: CHANNEL_EVENT_TYPES.length,
    isAllowed: (type) => CHANNEL_EVENT_TYPES.some((known) => known === type),
    allowed: CHANNEL_EVENT_TYPES.join(', '),
  });
  return CHANNEL_EVENT_TYPES.filter((type) => checked.includes(type));
}

/** Names the element that is wrong: a list may be long. */
function checkedList(option: string, list: unknown = [], rule: ListRule): readonly string[] {
  const { maxLength, isAllowed, allowed } = rule;
  if (!Array.isArray(list)) throw optionError(option, list, `a list of ${allowed}`);
  if (list.length > maxLength) {
    throw optionError(option, list.length, `a list of at most ${maxLength} ${allowed}`);
  }
  return list.map((element: unknown) => {
    if (typeof element === 'string' && isAllowed(element)) return element;
    throw optionError(option, element, `a list of ${allowed}`);
  });
}

/** Options of TypeScript have no old names, but JavaScript's may. */
function refuseRenamed(options: FarmOptions): void {
  for (const [from, to] of Object.entries(RENAMED_OPTIONS)) {
    if (!(from in options)) continue;
    throw new FarmError('FARM_ERR_OPTION', `${from} is called ${to} now. Rename it.`, { option: from });
  }
}

function optionError(option: string, received: unknown, allowed: string): FarmError {
  return new FarmError('FARM_ERR_OPTION', `${option} must be ${allowed}, got ${JSON.stringify(received)}.`, {
    option,
  });
}
