import { isIP } from 'node:net';
import { resolve } from 'node:path';
import {
  channelNameProblem,
  isAddressRange,
  isOriginPattern,
  LIMITS,
  MAX_ALLOWED_ORIGINS,
  MAX_TRUSTED_PROXIES,
  REDIS_URL_ALLOWED,
  redisUrlProblem,
} from '@roost/farm';
import type { LimitName } from '@roost/farm';
import { z } from 'zod';
import {
  choice,
  decimal,
  integer,
  list,
  optionalInteger,
  optionalPath,
  optionalText,
  portOrOff,
  text,
  toggle,
} from './option.ts';
import type { Option, OptionValue } from './option.ts';
import { isHttpUrl, isJwksLocation } from './jwks-location.ts';
import { PUSHER_OPTIONS } from './pusher-options.ts';
import { WEBHOOK_OPTIONS } from './webhook-options.ts';

/** Limits that are measured finer than in whole units. */
const DECIMAL_LIMITS: ReadonlySet<LimitName> = new Set<LimitName>(['broadcastSliceMs', 'rebalanceSkew']);

const MAIN_OPTIONS = {
  app: optionalPath({
    allowed: 'the path of a module in JavaScript or TypeScript',
    placeholder: '<app.js>',
    whenLeftOut: 'to run no application',
    doc: "Your application: a module, in JavaScript or TypeScript, whose default export is an app, an array of apps, or a function that makes them in each worker. It serves every path that the server does not serve itself. In a configuration file, the path is relative to that file's folder.",
  }),
  host: text({
    schema: z.string().refine((value) => isIP(value) !== 0),
    default: '0.0.0.0',
    allowed: 'a numeric IPv4 or IPv6 address',
    placeholder: '<address>',
    doc: 'Address to listen on. `::` serves IPv4 and IPv6.',
  }),
  port: integer({
    default: 8080,
    min: 0,
    max: 65_535,
    doc: 'TCP port to listen on. 0 lets the kernel choose one.',
  }),
  workers: optionalInteger({
    min: 1,
    max: 1024,
    whenLeftOut: 'to use one worker per CPU',
    doc: 'Worker processes, each pinned to a CPU where there are enough.',
  }),
  redisUrl: optionalText({
    schema: z.string().superRefine((url, context) => {
      const problem = redisUrlProblem(url);
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
    }),
    allowed: REDIS_URL_ALLOWED,
    placeholder: '<url>',
    whenLeftOut: 'to use the embedded broker, whose broadcasts stay within this farm',
    doc: 'The Redis that carries broadcasts between workers and hosts; the guide on broadcasting lists the forms of its URL. Better given as a variable than as a flag, which every user of the machine can read.',
    isSecret: true,
  }),
  redisPrefix: text({
    schema: z.string().regex(/^[\x21-\x7e]{1,64}$/),
    default: 'roost:',
    allowed: '1 to 64 visible ASCII characters without spaces',
    placeholder: '<text>',
    doc: 'Prefix of the keys in Redis. Farms with the same prefix share their publications.',
  }),
  slowConsumerPolicy: choice({
    words: ['close', 'drop'],
    default: 'close',
    placeholder: '<policy>',
    doc: 'What happens to a client that reads too slowly, when its outbound queue is full: `close` ends the connection (4000), `drop` skips the message.',
  }),
  compression: choice({
    words: ['off', 'on'],
    default: 'off',
    placeholder: '<when>',
    doc: 'Compresses messages where a client offers it (permessage-deflate): `off` or `on`. Costs CPU per message. Do not use it where one message holds both a secret and text that another party chose (CRIME).',
  }),
  borrowMessages: toggle({
    doc: 'Gives message hooks views that are valid only until the hook returns, which saves a copy of each message.',
  }),
  trustedProxies: list({
    isAllowed: isAddressRange,
    maxLength: MAX_TRUSTED_PROXIES,
    elements: 'addresses and CIDR blocks such as 10.0.0.0/8',
    whenLeftOut: 'to trust none',
    doc: "Proxies that may name the client's address: in the X-Forwarded-For of upgrades and, with proxyProtocol, in a PROXY header. List only proxies that write the address from which they were called.",
  }),
  proxyProtocol: choice({
    words: ['off', 'optional', 'required'],
    default: 'off',
    placeholder: '<mode>',
    doc: 'The PROXY protocol (version 1 or 2) from trustedProxies: `optional` reads a header where there is one; `required` ends connections without one, and connections from all other addresses.',
  }),
  allowedOrigins: list({
    isAllowed: isOriginPattern,
    maxLength: MAX_ALLOWED_ORIGINS,
    elements: 'origins such as https://app.example.com or https://*.example.com',
    whenLeftOut: 'to let all pages connect',
    doc: 'Origins of the web pages whose scripts may connect; others get 403. `https://*.example.com` is every subdomain at any depth, `http://localhost:*` any port, `null` a sandboxed or local page, `*` every page. Requests without an Origin header come from programs, not from browsers, and pass.',
  }),
  logLevel: choice({
    words: ['debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    default: 'info',
    placeholder: '<level>',
    doc: 'The least important log lines to print: debug, info, warn, error, fatal or silent.',
  }),
  maxLogBufferBytes: integer({
    default: 1024 * 1024,
    min: 65_536,
    max: 64 * 1024 * 1024,
    unit: 'bytes',
    doc: 'Log lines, and output of the application, that wait because they cannot be written: the pipe or the terminal is not read, or the disk is full. Beyond it lines are lost and counted (log_lines_lost), and a line reports the loss as soon as there is room.',
  }),
  logFlushMs: integer({
    default: 1000,
    min: 0,
    max: 60_000,
    unit: 'ms',
    doc: 'How long a server that ends waits until the remaining log lines are read.',
  }),
  uncaughtException: choice({
    words: ['exit', 'log'],
    default: 'exit',
    placeholder: '<action>',
    doc: 'What an exception of the application outside of its hooks does (in a timer, in a listener): `exit` logs it and ends its worker, and with it its connections (1006), since the state of the application is unknown; another worker takes its place. `log` only logs it. Unhandled rejections are always only logged.',
  }),
  'plain.clientPublish': toggle({
    doc: 'Publishes each message of a client of /plain to all channels of its connection. Without it such a client is closed with 4501.',
  }),
  'api.key': optionalText({
    schema: z.string().regex(/^[\x21-\x7e]{1,256}$/),
    allowed: '1 to 256 visible ASCII characters without spaces',
    placeholder: '<key>',
    whenLeftOut: 'to have one generated at each start and logged',
    doc: 'Secret that callers of the HTTP API show in X-API-Key. Better given as a variable than as a flag, which every user of the machine can read.',
    isSecret: true,
  }),
  'api.maxBodyBytes': integer({
    default: 1024 * 1024,
    min: 64,
    max: 256 * 1024 * 1024,
    unit: 'bytes',
    doc: 'Size of the body of one request of the HTTP API, as it arrives and after inflating. Larger: 413.',
  }),
  'api.maxBroadcastChannels': integer({
    default: 1000,
    min: 1,
    max: 1_000_000,
    unit: 'channels',
    doc: 'Channels of one /api/broadcast. More: error 106, and nothing is published.',
  }),
  'admin.host': text({
    schema: z.string().refine((value) => isIP(value) !== 0),
    default: '127.0.0.1',
    allowed: 'a numeric IPv4 or IPv6 address',
    placeholder: '<address>',
    doc: 'Address of the admin listener: metrics for Prometheus, and a dashboard. One that other machines can reach needs `admin.token`, which then travels unencrypted: keep to a network that you trust.',
  }),
  'admin.port': portOrOff({
    default: 8081,
    doc: 'TCP port of the admin listener, which is apart from the port for clients. 0 lets the kernel choose one; `off` opens none. If the default port is in use, the farm starts without, and logs it.',
  }),
  'admin.token': optionalText({
    schema: z.string().regex(/^[\x21-\x7e]{16,256}$/),
    allowed: '16 to 256 visible ASCII characters without spaces',
    placeholder: '<token>',
    whenLeftOut: 'to have one generated at each start and logged, and to tell metrics without one',
    doc: 'Secret for the dashboard, and for callers of the admin listener, who show it as `Authorization: Bearer …`. Better given as a variable than as a flag, which every user of the machine can read.',
    isSecret: true,
  }),
  controlSocket: {
    ...optionalText({
      schema: z.string().min(1),
      allowed: 'the path of a Unix socket, or off',
      placeholder: '<path>',
      whenLeftOut:
        'for <port>.sock in $XDG_RUNTIME_DIR/roost, /run/roost or the folder roost-<uid> of temporary files',
      doc: 'Where `roost reload`, `roost workers`, `roost rebalance` and `roost status` reach this farm. Only its own user and root may. `off` opens none; nor is there one with `port` 0, unless it is named.',
    }),
    inFolder: (value: string, folder: string) => (value === 'off' ? value : resolve(folder, value)),
  },
  'tls.cert': optionalPath({
    allowed: 'the path of a PEM file',
    placeholder: '<file>',
    whenLeftOut: 'to speak plain HTTP and WebSocket',
    doc: "Certificate chain, the server's own first. With it and `tls.key` the port speaks only TLS. Both are read again on SIGHUP, for new connections. A connection over TLS never hibernates: see the guide on deploying for what it costs.",
  }),
  'tls.key': optionalPath({
    allowed: 'the path of a PEM file',
    placeholder: '<file>',
    whenLeftOut: 'to speak plain HTTP and WebSocket',
    doc: 'Private key of the certificate, not encrypted.',
  }),
  'tls.minVersion': choice({
    words: ['TLSv1.2', 'TLSv1.3'],
    default: 'TLSv1.2',
    placeholder: '<version>',
    doc: 'The oldest version of TLS that clients may speak. Handshakes with older versions fail.',
  }),
  ...PUSHER_OPTIONS,
  ...WEBHOOK_OPTIONS,
  'tokens.secret': optionalText({
    schema: z.string().regex(/^[\x21-\x7e]{32,512}$/),
    allowed: '32 to 512 visible ASCII characters without spaces',
    placeholder: '<secret>',
    whenLeftOut: 'to verify no HS256 tokens',
    doc: 'Secret, shared with the issuer, that verifies HS256 tokens. Better given as a variable than as a flag, which every user of the machine can read. With it, or with `tokens.publicKey` or `tokens.jwks`, clients need a token.',
    isSecret: true,
  }),
  'tokens.publicKey': optionalPath({
    allowed: 'the path of a PEM file',
    placeholder: '<file>',
    whenLeftOut: 'to verify no tokens with it',
    doc: 'Public key or certificate of the issuer: RSA of at least 2,048 bits verifies RS256, EC on P-256 verifies ES256. A changed file is noticed within seconds.',
  }),
  'tokens.jwks': {
    ...optionalText({
      schema: z.string().refine(isJwksLocation),
      allowed: 'the path of a JWKS file, or an http or https URL without user and password',
      placeholder: '<location>',
      whenLeftOut: 'to verify no tokens with it',
      doc: 'Public keys of the issuer as a JSON Web Key Set, for RS256 and ES256 tokens. A token with an unknown `kid` makes the farm read them again, so that the issuer may change its keys.',
    }),
    inFolder: (value: string, folder: string) => (isHttpUrl(value) ? value : resolve(folder, value)),
  },
  'tokens.issuer': optionalText({
    schema: z.string().min(1).max(1024),
    allowed: '1 to 1024 characters',
    placeholder: '<text>',
    whenLeftOut: 'to accept tokens of any issuer that has the key',
    doc: 'What the claim `iss` of a token must be.',
  }),
  'tokens.audience': optionalText({
    schema: z.string().min(1).max(1024),
    allowed: '1 to 1024 characters',
    placeholder: '<text>',
    whenLeftOut: 'to accept tokens for any audience',
    doc: 'What the claim `aud` of a token must be, or must contain.',
  }),
  'tokens.clockToleranceSeconds': integer({
    default: 0,
    min: 0,
    max: 3600,
    unit: 'seconds',
    doc: "By how much the issuer's clock may differ: a token is valid for this much longer than `exp` and `nbf` say, on either side.",
  }),
  'tokens.allowAnonymous': toggle({
    doc: 'Asks the application about clients without a token, too; their `request.claims` is undefined. Without it they get 401. /plain has `tokens.publicChannels` instead.',
  }),
  'tokens.publicChannels': list({
    isAllowed: (pattern) => channelNameProblem(pattern) === undefined,
    maxLength: 1000,
    elements: 'channel names, or globs such as public:*',
    whenLeftOut: 'to have none',
    doc: 'Channels that clients of /plain may subscribe to without a token, or with one that does not name them. `*` is any run of characters, `?` any one.',
  }),
  'tokens.jwksTimeoutMs': integer({
    default: 5000,
    min: 100,
    max: 60_000,
    unit: 'ms',
    doc: 'Time in which the URL of `tokens.jwks` must answer. Later: the fetch has failed.',
  }),
  'tokens.jwksCacheMs': integer({
    default: 600_000,
    min: 1000,
    max: 86_400_000,
    unit: 'ms',
    doc: 'Age from which keys from a URL are fetched again. The old keys stay in use until then.',
  }),
  'tokens.jwksStaleMs': integer({
    default: 3_600_000,
    min: 0,
    max: 604_800_000,
    unit: 'ms',
    doc: 'How much longer than `tokens.jwksCacheMs` old keys stay in use while the URL fails. After that: 503 with Retry-After.',
  }),
  'tokens.jwksCooldownMs': integer({
    default: 30_000,
    min: 0,
    max: 3_600_000,
    unit: 'ms',
    doc: 'Minimum time between two fetches that are caused by tokens with an unknown `kid`. Sooner: 401 `token_key`.',
  }),
} as const satisfies Readonly<Record<string, Option<OptionValue>>>;

export const LIMIT_NAMES: readonly LimitName[] = Object.keys(LIMITS).filter(isLimitName);

function isLimitName(name: string): name is LimitName {
  return Object.hasOwn(LIMITS, name);
}

function limitOptions(): Readonly<Record<LimitName, Option<number>>> {
  const rows: Partial<Record<LimitName, Option<number>>> = {};
  for (const name of LIMIT_NAMES) {
    rows[name] = DECIMAL_LIMITS.has(name) ? decimal(LIMITS[name]) : integer(LIMITS[name]);
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every name has been given its row above
  return rows as Record<LimitName, Option<number>>;
}

/**
 * Every option of the server, by its key in the file (a dot is a level of nesting). Flags, variables, file keys, the
 * checks, the help and docs/reference/config.md are made from this one table.
 */
export const OPTIONS = { ...MAIN_OPTIONS, ...limitOptions() } as const;

export type OptionKey = keyof typeof OPTIONS;

/** The values that the server runs on. */
export type Settings = {
  readonly [Key in OptionKey]: (typeof OPTIONS)[Key] extends Option<infer Value> ? Value : never;
};

/** In the order of the help. */
export const OPTION_KEYS: readonly OptionKey[] = Object.keys(OPTIONS).filter(isOptionKey);

export function isOptionKey(key: string): key is OptionKey {
  return Object.hasOwn(OPTIONS, key);
}

export function isLimit(key: OptionKey): key is LimitName {
  return isLimitName(key);
}
