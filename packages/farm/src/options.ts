import { isOriginPattern, MAX_ALLOWED_ORIGINS } from './allowed-origins.ts';
import { FarmError } from './errors.ts';
import type { Log } from './log.ts';
import { isAddressRange, MAX_TRUSTED_PROXIES } from './trusted-proxies.ts';

/** What a slow consumer gets when its outbound queue is full: `close` ends it (4000), `drop` skips the message. */
export type SlowConsumerPolicy = 'close' | 'drop';

/**
 * Whether trusted proxies send the header of the PROXY protocol: `off` never, `optional` some or sometimes, `required`
 * always, and then nobody else may connect.
 */
export type ProxyProtocol = 'off' | 'optional' | 'required';

/**
 * The numeric limits of a farm: default, range and meaning of each. From this one table come the types, the checks, the
 * server's flags and docs/reference/config.md.
 */
export const LIMITS = {
  maxConnections: {
    default: 1_000_000,
    min: 1,
    max: 100_000_000,
    unit: 'connections',
    doc: 'Connections of the whole farm. At the limit health checks are still answered and upgrades get 503 with Retry-After.',
  },
  maxConnectionsPerWorker: {
    default: 250_000,
    min: 1,
    max: 10_000_000,
    unit: 'connections',
    doc: 'Connections of one worker; cut to what its descriptor limit allows. A full worker is given nothing more.',
  },
  reservedConnections: {
    default: 64,
    min: 1,
    max: 10_000,
    unit: 'connections',
    doc: 'Sockets each worker takes beyond its capacity, to answer health checks and refuse upgrades with 503. When these are in use too, new clients wait in the listen queue.',
  },
  maxHandshakes: {
    default: 10_000,
    min: 1,
    max: 10_000_000,
    unit: 'connections',
    doc: 'Upgrades of one worker waiting for an upgrade hook or a broker at a time. Beyond it: 503 with Retry-After.',
  },
  backlog: {
    default: 4096,
    min: 1,
    max: 1_048_576,
    unit: 'connections',
    doc: "Length of the kernel's accept queue (cut by net.core.somaxconn). Clients beyond it retry their SYN.",
  },
  tcpKeepAliveSeconds: {
    default: 60,
    min: 0,
    max: 32_767,
    unit: 's',
    doc: 'Silence after which the kernel probes a connection (TCP keepalive). 0: never.',
  },
  tcpUserTimeoutMs: {
    default: 30_000,
    min: 0,
    max: 3_600_000,
    unit: 'ms',
    doc: 'How long sent bytes may stay unacknowledged, or a client may refuse to take any, before the kernel ends the connection (TCP_USER_TIMEOUT). 0: as the system has it.',
  },
  tcpNotSentLowatBytes: {
    default: 16_384,
    min: 0,
    max: 1_073_741_824,
    unit: 'bytes',
    doc: 'Unsent bytes that the kernel takes for a client that does not read (TCP_NOTSENT_LOWAT); the rest waits in the outbound queue. 0: as the system has it.',
  },
  tcpSendBufferBytes: {
    default: 256 * 1024,
    min: 0,
    max: 1_073_741_823,
    unit: 'bytes',
    doc: 'Sent bytes that the kernel keeps until a client has acknowledged them (SO_SNDBUF, cut by net.core.wmem_max; the kernel takes up to twice as much with its own overhead). A client gets at most about this much in each round trip: 2.6 MB/s at 100 ms. 0: as the system has it (net.ipv4.tcp_wmem, up to 4 MiB for a client that stops acknowledging).',
  },
  maxUnacknowledgedHandoffs: {
    default: 1024,
    min: 1,
    max: 65_536,
    unit: 'sockets',
    doc: 'Sockets handed to one worker and not acknowledged yet. At the bound others get them; when all are, accepting pauses.',
  },
  handOffTimeoutMs: {
    default: 5000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    doc: 'How long a worker may leave a hand-off unacknowledged before it is killed and its sockets go to another.',
  },
  workerTimeoutMs: {
    default: 15_000,
    min: 1000,
    max: 600_000,
    unit: 'ms',
    doc: 'How long a worker may be silent (it reports every second) before it is killed and replaced.',
  },
  maxRequestHeadBytes: {
    default: 8192,
    min: 512,
    max: 65_536,
    unit: 'bytes',
    doc: 'Size of a request head, or of a PROXY header of version 2. Larger: 431, or a plain close.',
  },
  handshakeTimeoutMs: {
    default: 10_000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    doc: 'From adoption until the request head is complete. Then: 408, or a plain close if nothing of it was sent.',
  },
  upgradeTimeoutMs: {
    default: 10_000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    doc: 'How long an upgrade hook and the subscriptions it asks for may take. Then: 503.',
  },
  subscribeTimeoutMs: {
    default: 5000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    doc: 'How long a connected broker may take to confirm a subscription. Then: 503, or a rejected subscribe().',
  },
  httpRequestTimeoutMs: {
    default: 30_000,
    min: 100,
    max: 3_600_000,
    unit: 'ms',
    doc: 'How long an HTTP client may take to send a whole request, and stay idle between two. Then: 408, or a close.',
  },
  maxMessageBytes: {
    default: 65_536,
    min: 125,
    max: 256 * 1024 * 1024,
    unit: 'bytes',
    doc: 'Size of one message from a client. Larger: close 1009.',
  },
  messageTimeoutMs: {
    default: 10_000,
    min: 100,
    max: 3_600_000,
    unit: 'ms',
    doc: 'From the first byte of a message until its last. Then: close 4001.',
  },
  maxInboundBytesPerWorker: {
    default: 64 * 1024 * 1024,
    min: 65_536,
    max: 64 * 1024 * 1024 * 1024,
    unit: 'bytes',
    doc: 'Memory for request heads and single frames that have not fully arrived. Beyond it the connection whose bytes do not fit closes 1013 (a head: 503). Not counted yet: fragmented messages of awake connections, which maxAwakeConnections times maxMessageBytes bound.',
  },
  maxAwakeConnections: {
    default: 10_000,
    min: 1,
    max: 10_000_000,
    unit: 'connections',
    doc: 'Connections of one worker that are awake (in fragmented messages or closing handshakes) at a time. Beyond it: close 1013.',
  },
  quietMs: {
    default: 2000,
    min: 10,
    max: 3_600_000,
    unit: 'ms',
    doc: 'Silence after which an awake connection hibernates again.',
  },
  maxOutboundBytes: {
    default: 1024 * 1024,
    min: 1024,
    max: 1024 * 1024 * 1024,
    unit: 'bytes',
    doc: 'Outbound queue of one connection, beyond what its kernel buffer takes. Past it the slow-consumer policy applies.',
  },
  maxOutboundBytesPerWorker: {
    default: 256 * 1024 * 1024,
    min: 2 * 1024 * 1024,
    max: 1024 * 1024 * 1024 * 1024,
    unit: 'bytes',
    doc: 'Memory of all outbound queues of one worker; a publication that stands in many counts once. Beyond it the slow-consumer policy applies to the longest queues, whoever the message was for, until a sixteenth is free: `close` closes them, `drop` empties them. When frames that have begun leave no room, their connections end (1006).',
  },
  maxBroadcastQueueBytes: {
    default: 64 * 1024 * 1024,
    min: 65_536,
    max: 64 * 1024 * 1024 * 1024,
    unit: 'bytes',
    doc: 'Publications of one worker waiting for their fan-out. Beyond it new ones are dropped, counted and logged as a gap.',
  },
  broadcastSliceMs: {
    default: 1,
    min: 0.1,
    max: 1000,
    unit: 'ms',
    doc: 'Time that fan-out may take before the event loop turns. Longer: more throughput, later echoes.',
  },
  closeTimeoutMs: {
    default: 10_000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    doc: 'How long a client may take to answer a close frame or to read a refusal. Then: the TCP connection ends.',
  },
  heartbeatMs: {
    default: 60_000,
    min: 1000,
    max: 86_400_000,
    unit: 'ms',
    doc: 'Silence after which a connection is sent a ping.',
  },
  heartbeatTimeoutMs: {
    default: 30_000,
    min: 1000,
    max: 86_400_000,
    unit: 'ms',
    doc: 'Silence after that ping which ends the connection (the application sees 1006).',
  },
  maxSubscriptionsPerConnection: {
    default: 128,
    min: 1,
    max: 1_000_000,
    unit: 'channels',
    doc: 'Channels of one connection. Beyond it an upgrade gets 400, and subscribe() rejects.',
  },
  maxChannelBufferBytes: {
    default: 16 * 1024 * 1024,
    min: 65_536,
    max: 1024 * 1024 * 1024,
    unit: 'bytes',
    doc: 'Messages waiting between the master and one worker. Beyond it publications are dropped (a gap) and publishing fails; a worker that does not even take control messages is killed.',
  },
  drainMs: {
    default: 10_000,
    min: 0,
    max: 3_600_000,
    unit: 'ms',
    doc: 'Time over which a graceful shutdown spreads its closes (1001).',
  },
  stopTimeoutMs: {
    default: 5000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    doc: 'How long after drainMs stragglers may take before they are ended.',
  },
} as const;

export type LimitName = keyof typeof LIMITS;
export type Limits = { readonly [Name in LimitName]: number };

/** What a user may write. */
export interface FarmOptions extends Partial<Limits> {
  /** The module whose default export is the app ({@link defineApp}): an absolute path or a file: URL. */
  readonly app: string | URL;
  /** Structured data handed to the app's factory in each worker as {@link WorkerContext.options}. */
  readonly appOptions?: unknown;
  /** Numeric address to listen on. Default `0.0.0.0`. */
  readonly host?: string;
  /** 0 lets the kernel choose: see {@link Farm.port}. Default 8080. */
  readonly port?: number;
  /** Worker processes. Default: one for each CPU that this process may use. */
  readonly workers?: number;
  /** `redis://` or `rediss://`. Without it the embedded broker serves this farm alone. */
  readonly redisUrl?: string;
  /** Prefix of the keys in Redis. Default `roost:`. */
  readonly redisPrefix?: string;
  /** Default `close`. */
  readonly slowConsumerPolicy?: SlowConsumerPolicy;
  /**
   * Addresses and CIDR blocks, IPv4 and IPv6, of the proxies whose word on the client's address is taken: their
   * `X-Forwarded-For` and, with {@link proxyProtocol}, their PROXY header. At most 1,024. Default: none.
   */
  readonly trustedProxies?: readonly string[];
  /** The PROXY protocol, version 1 or 2. Needs {@link trustedProxies}, and is read from nobody else. Default `off`. */
  readonly proxyProtocol?: ProxyProtocol;
  /**
   * Origins of the web pages whose scripts may connect: `https://app.example.com`, `https://*.example.com` (subdomains
   * at any depth), `http://localhost:*` (any port), `null`, or `*`. Others get 403; requests without an origin are no
   * browser's and pass. At most 1,024. Default: none, which lets everybody in.
   */
  readonly allowedOrigins?: readonly string[];
  /** Gives message hooks views that are valid only until they return, saving a copy. Default false. */
  readonly borrowMessages?: boolean;
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
  readonly slowConsumerPolicy: SlowConsumerPolicy;
  readonly trustedProxies: readonly string[];
  readonly proxyProtocol: ProxyProtocol;
  readonly allowedOrigins: readonly string[];
  readonly borrowMessages: boolean;
  readonly version: string;
}

/** Checks options and fills in the defaults. Throws a FarmError with FARM_ERR_OPTION that names the option. */
export function resolveOptions(options: FarmOptions, defaultWorkers: number, version: string): FarmConfig {
  const limits: { -readonly [Name in LimitName]?: number } = {};
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a constant.
  for (const name of Object.keys(LIMITS) as LimitName[]) {
    const { default: fallback, min, max, unit } = LIMITS[name];
    const value: unknown = options[name] ?? fallback;
    const isNumber = typeof value === 'number' && value >= min && value <= max;
    if (!isNumber || (name !== 'broadcastSliceMs' && !Number.isInteger(value))) {
      throw optionError(name, value, `a number of ${unit} from ${min} to ${max}`);
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
  const workers = options.workers ?? defaultWorkers;
  if (!Number.isInteger(workers) || workers < 1 || workers > 1024) {
    throw optionError('workers', workers, 'an integer from 1 to 1024');
  }
  const port = options.port ?? 8080;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw optionError('port', port, 'an integer from 0 to 65535');
  }
  const redisUrl = options.redisUrl ?? null;
  if (redisUrl !== null && !/^rediss?:\/\/\S+$/.test(redisUrl)) {
    // A password must not end up in a log.
    throw optionError('redisUrl', redisUrl.replace(/\/\/.*@/, '//***@'), 'a redis:// or rediss:// URL');
  }
  const slowConsumerPolicy = options.slowConsumerPolicy ?? 'close';
  if (slowConsumerPolicy !== 'close' && slowConsumerPolicy !== 'drop') {
    throw optionError('slowConsumerPolicy', slowConsumerPolicy, '"close" or "drop"');
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
    throw optionError('proxyProtocol', proxyProtocol, '"off" unless trustedProxies names who may speak it');
  }
  const allowedOrigins = checkedList('allowedOrigins', options.allowedOrigins, {
    maxLength: MAX_ALLOWED_ORIGINS,
    isAllowed: isOriginPattern,
    allowed: 'origins such as https://app.example.com or https://*.example.com',
  });
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
    slowConsumerPolicy,
    trustedProxies,
    proxyProtocol,
    allowedOrigins,
    borrowMessages: options.borrowMessages ?? false,
    version: options.version ?? version,
  });
}

interface ListRule {
  readonly maxLength: number;
  readonly isAllowed: (element: string) => boolean;
  /** In words that can follow "a list of". */
  readonly allowed: string;
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

function optionError(option: string, received: unknown, allowed: string): FarmError {
  return new FarmError('FARM_ERR_OPTION', `${option} must be ${allowed}, got ${JSON.stringify(received)}.`, {
    option,
  });
}
