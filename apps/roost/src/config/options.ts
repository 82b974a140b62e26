import { isIP } from 'node:net';
import {
  isAddressRange,
  isOriginPattern,
  LIMITS,
  MAX_ALLOWED_ORIGINS,
  MAX_TRUSTED_PROXIES,
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
  text,
  toggle,
} from './option.ts';
import type { Option, OptionValue } from './option.ts';

/** Limits that are measured finer than in whole units. */
const DECIMAL_LIMITS: ReadonlySet<LimitName> = new Set<LimitName>(['broadcastSliceMs']);

const MAIN_OPTIONS = {
  app: optionalPath({
    allowed: 'the path of a JavaScript module',
    placeholder: '<app.js>',
    whenLeftOut: 'to run no application of your own',
    doc: "Your application: a module whose default export is an app, an array of apps, or a function that makes them in each worker. It serves every path that the server does not take itself. In the file, the path counts from the file's folder.",
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
    schema: z.string().regex(/^rediss?:\/\/\S+$/),
    allowed: 'a redis:// or rediss:// URL',
    placeholder: '<url>',
    whenLeftOut: 'to use the embedded broker, whose broadcasts stay within this farm',
    doc: 'Redis that carries broadcasts between workers and hosts.',
    isSecret: true,
  }),
  redisPrefix: text({
    schema: z.string().regex(/^[\x21-\x7e]{1,64}$/),
    default: 'roost:',
    allowed: '1 to 64 visible ASCII characters without spaces',
    placeholder: '<text>',
    doc: 'Prefix of the keys in Redis. Farms with the same prefix hear each other.',
  }),
  slowConsumerPolicy: choice({
    words: ['close', 'drop'],
    default: 'close',
    placeholder: '<policy>',
    doc: 'What a client gets that reads too slowly, when its outbound queue is full: `close` ends the connection (4000), `drop` skips the message.',
  }),
  compression: choice({
    words: ['off', 'on'],
    default: 'off',
    placeholder: '<when>',
    doc: 'Compresses messages where a client offers it (permessage-deflate): `off` or `on`. Costs CPU for each message, and must not be used where a message holds both a secret and what somebody else chose (CRIME).',
  }),
  borrowMessages: toggle({
    doc: 'Gives message hooks views that are valid only until the hook returns, which saves a copy of each message.',
  }),
  trustedProxies: list({
    isAllowed: isAddressRange,
    maxLength: MAX_TRUSTED_PROXIES,
    elements: 'addresses and CIDR blocks such as 10.0.0.0/8',
    whenLeftOut: 'to trust none',
    doc: "Proxies whose word on the client's address is taken: the X-Forwarded-For of their upgrades and, with proxyProtocol, their PROXY header. List only proxies that write what they saw themselves.",
  }),
  proxyProtocol: choice({
    words: ['off', 'optional', 'required'],
    default: 'off',
    placeholder: '<mode>',
    doc: 'The PROXY protocol (version 1 or 2) from trustedProxies: `optional` reads a header where there is one, `required` ends connections without one, and those of everybody else.',
  }),
  allowedOrigins: list({
    isAllowed: isOriginPattern,
    maxLength: MAX_ALLOWED_ORIGINS,
    elements: 'origins such as https://app.example.com or https://*.example.com',
    whenLeftOut: 'to let all pages connect',
    doc: 'Origins of the web pages whose scripts may connect; others get 403. `https://*.example.com` is every subdomain at any depth, `http://localhost:*` any port, `null` a sandboxed or local page, `*` everybody. Requests without an Origin header come from programs, not from browsers, and pass.',
  }),
  logLevel: choice({
    words: ['debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    default: 'info',
    placeholder: '<level>',
    doc: 'The least important log lines to print: debug, info, warn, error, fatal or silent.',
  }),
  'plain.clientPublish': toggle({
    doc: 'Publishes what a client of /plain sends to all channels of its connection. Without it such a client is closed with 4501.',
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
    doc: 'Size of one request of the HTTP API. Larger: 413.',
  }),
  'api.maxBroadcastChannels': integer({
    default: 1000,
    min: 1,
    max: 1_000_000,
    unit: 'channels',
    doc: 'Channels of one /api/broadcast. More: error 106, and nothing is published.',
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
