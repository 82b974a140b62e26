import { isIP } from 'node:net';

/** What a URL of Redis may look like, in words that can follow "must be". */
export const REDIS_URL_ALLOWED =
  'a redis://, rediss://, unix:// or redis+sentinel:// URL, with user and password percent-encoded';

const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;

/** More would only make an attempt to connect longer. */
const MAX_SENTINELS = 16;

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
  /** 4 or 6 looks the name up for that version of IP only. */
  readonly family?: number;
}

export type ServerAddress = HostAndPort | { readonly path: string };

export interface Credentials {
  /** Empty: the default user. */
  readonly username: string;
  readonly password: string;
}

export interface SentinelLocation {
  readonly masterName: string;
  readonly sentinels: readonly HostAndPort[];
  readonly credentials: Credentials | undefined;
  readonly isTls: boolean;
}

/** Where Redis is, and the credentials that it needs. */
export interface RedisLocation {
  /** One server, or the sentinels that know it. */
  readonly target: ServerAddress | SentinelLocation;
  readonly credentials: Credentials | undefined;
  readonly database: number;
  /** To Redis itself. */
  readonly isTls: boolean;
  /** The URL for logs: without credentials and parameters. */
  readonly shown: string;
}

/** Why this cannot be the URL of a Redis, in words that can follow a colon; undefined when it can. Shows nothing of it. */
export function redisUrlProblem(url: string): string | undefined {
  try {
    parseRedisUrl(url);
    return undefined;
  } catch (error) {
    if (error instanceof RedisUrlError) return error.message;
    throw error;
  }
}

/** The message never holds any part of the URL: what is malformed may well be the password. */
export class RedisUrlError extends Error {
  override readonly name = 'RedisUrlError';
}

/**
 * Reads a URL strictly: what is not understood is refused, so that no part of a password that was not percent-encoded is
 * taken for a host and shown. Throws a RedisUrlError.
 */
export function parseRedisUrl(url: string): RedisLocation {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for.
  if (/[\s\u0000-\u001F\u007F]/.test(url)) fail('it has a space or a control character');
  if (url.startsWith('/') && !url.startsWith('//')) {
    return { ...unixSocket(url), credentials: undefined, database: 0 };
  }
  const [, scheme = '', rest = ''] = /^([a-z+]+):\/\/(.*)$/i.exec(url) ?? [];
  const parts = split(rest);
  const credentials = parts.userinfo === undefined ? undefined : credentialsIn(parts.userinfo);
  switch (scheme.toLowerCase()) {
    case 'unix':
      return unixLocation(parts, credentials);
    case 'redis':
    case 'rediss':
      return serverLocation(scheme.toLowerCase(), parts, credentials);
    case 'redis+sentinel':
    case 'rediss+sentinel':
      return sentinelLocation(scheme.toLowerCase(), parts, credentials);
    default:
      return fail(
        'it begins with none of redis://, rediss://, redis+sentinel://, rediss+sentinel:// and unix://',
      );
  }
}

interface Parts {
  readonly userinfo: string | undefined;
  readonly authority: string;
  readonly path: string;
  readonly query: ReadonlyMap<string, string>;
}

/** The last @ ends the credentials: whatever they hold, nothing of it is read as a host. */
function split(rest: string): Parts {
  const at = rest.lastIndexOf('@');
  const userinfo = at === -1 ? undefined : rest.slice(0, at);
  if (userinfo !== undefined && /[/?#]/.test(userinfo)) {
    fail('a / ? # or @ is unencoded in user, password, path or parameters: write %2F %3F %23 or %40');
  }
  const parts = /^([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/.exec(rest.slice(at + 1));
  if (parts === null) fail('it has a # in it: in user and password write %23');
  const [, authority = '', path = '', query = ''] = parts;
  const parameters = query.split('&').filter((parameter) => parameter !== '');
  return {
    userinfo,
    authority,
    path,
    query: new Map(
      parameters.map((parameter) => {
        const equals = parameter.indexOf('=');
        if (equals === -1) fail('a parameter after the ? has no value');
        return [parameter.slice(0, equals), decoded(parameter.slice(equals + 1))];
      }),
    ),
  };
}

function serverLocation(
  scheme: string,
  { authority, path, query }: Parts,
  credentials: Credentials | undefined,
): RedisLocation {
  if (authority === '') fail('it has no host; a Unix socket is unix:///path/of/redis.sock');
  if (authority.includes(',')) {
    fail(
      'it names more than one host: for Sentinel write redis+sentinel://host,host/master-name; of a Redis Cluster one node is enough',
    );
  }
  known(query, ['family']);
  const family = query.get('family');
  if (family !== undefined && !['4', '6'].includes(family)) fail('its parameter family must be 4 or 6');
  const address = hostAndPort(authority, REDIS_PORT);
  const database = databaseIn(path);
  return {
    target: family === undefined ? address : { ...address, family: Number(family) },
    credentials,
    database,
    isTls: scheme === 'rediss',
    shown: `${scheme}://${shownAddress(address)}${database === 0 ? '' : `/${database}`}`,
  };
}

function sentinelLocation(
  scheme: string,
  { authority, path, query }: Parts,
  credentials: Credentials | undefined,
): RedisLocation {
  known(query, ['sentinelUsername', 'sentinelPassword', 'sentinelTls']);
  const sentinels = authority.split(',').map((host) => hostAndPort(host, SENTINEL_PORT));
  if (sentinels.length > MAX_SENTINELS) fail(`it names more than ${MAX_SENTINELS} sentinels`);
  const [, masterName = '', database = ''] = /^\/([^/]*)(\/.*)?$/.exec(path) ?? [];
  if (!/^[\w.-]{1,255}$/.test(masterName)) {
    fail('the name of the master must follow the sentinels, as in redis+sentinel://host:26379/mymaster');
  }
  const isTls = scheme === 'rediss+sentinel';
  const tls = query.get('sentinelTls') ?? (isTls ? 'on' : 'off');
  if (tls !== 'on' && tls !== 'off') fail('its parameter sentinelTls must be on or off');
  const username = query.get('sentinelUsername') ?? '';
  const password = query.get('sentinelPassword');
  if (password === undefined && username !== '') fail('it has a sentinelUsername and no sentinelPassword');
  return {
    target: {
      masterName,
      sentinels,
      credentials: password === undefined ? undefined : { username, password },
      isTls: tls === 'on',
    },
    credentials,
    database: databaseIn(database),
    isTls,
    shown: `${scheme}://${sentinels.map(shownAddress).join(',')}/${masterName}`,
  };
}

function unixLocation(
  { authority, path, query }: Parts,
  credentials: Credentials | undefined,
): RedisLocation {
  if (authority !== '') fail('a Unix socket has no host: write unix:///path/of/redis.sock');
  known(query, ['db']);
  return { ...unixSocket(decoded(path)), credentials, database: databaseIn(`/${query.get('db') ?? ''}`) };
}

/** sun_path has 108 bytes with its end (unix(7)). */
function unixSocket(path: string): Pick<RedisLocation, 'target' | 'isTls' | 'shown'> {
  if (!/^\/[^?]+$/.test(path) || Buffer.byteLength(path) > 107) {
    fail('the path of a Unix socket is absolute and has at most 107 bytes');
  }
  return { target: { path }, isTls: false, shown: path };
}

function credentialsIn(userinfo: string): Credentials | undefined {
  const colon = userinfo.indexOf(':');
  if (colon === -1 && userinfo !== '')
    fail('it has a user and no password: write user:password@ or :password@');
  const username = decoded(userinfo.slice(0, Math.max(0, colon)));
  const password = decoded(userinfo.slice(colon + 1));
  return username === '' && password === '' ? undefined : { username, password };
}

function databaseIn(path: string): number {
  if (path === '' || path === '/') return 0;
  if (!/^\/\d{1,5}$/.test(path)) fail('what follows the host and a / must be the number of a database');
  return Number(path.slice(1));
}

function hostAndPort(text: string, defaultPort: number): HostAndPort {
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(text) ?? [];
  const bare = host.replaceAll(/[[\]]/g, '');
  const isAddress = host.startsWith('[') ? isIP(bare) === 6 : /^[\w.-]{1,253}$/.test(host);
  if (!isAddress) fail('a host is neither a name nor an address (IPv6 is in brackets)');
  if (port === undefined) return { host: bare, port: defaultPort };
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
    fail('a port must be a number from 1 to 65535; a : in user or password is written %3A');
  }
  return { host: bare, port: Number(port) };
}

export function shownAddress({ host, port }: HostAndPort): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function known(query: Parts['query'], names: readonly string[]): void {
  if ([...query.keys()].every((name) => names.includes(name))) return;
  fail(`it has a parameter after the ? that is none of ${names.join(', ')}`);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return fail('a % is not followed by two hexadecimal digits: write %25');
  }
}

function fail(problem: string): never {
  throw new RedisUrlError(problem);
}
