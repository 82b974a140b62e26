import type { Redis } from 'ioredis';
import { authenticate } from '../connection/authenticate.ts';
import { RedisClient } from '../connection/client.ts';
import { askRole, type RedisRole } from '../connection/role.ts';
import { SentinelError, Sentinels } from '../connection/sentinels.ts';
import { explainFailure, isReplyError } from '../failure.ts';
import { parseRedisUrl, shownAddress, type RedisLocation, type ServerAddress } from '../redis-url.ts';
import type { RedisInspection } from './redis-inspection.ts';
import { tryRights } from './rights.ts';

const PINGS = 50;
/** Those of which more is said than that they are as Redis has them. */
const SETTINGS = [
  'client-output-buffer-limit',
  'maxclients',
  'maxmemory',
  'maxmemory-policy',
  'save',
  'appendonly',
  'appendfsync',
];

export interface InspectRedisOptions {
  /** As a farm takes it; see RedisBrokerOptions. */
  readonly url: string;
  /** Default `roost:`. */
  readonly prefix?: string;
  /** For everything together, in ms. Default 10,000. */
  readonly timeoutMs?: number;
}

/** What is known of a server that was not looked into. */
const UNKNOWN = {
  problem: '',
  role: 'unknown',
  password: 'none',
  info: new Map<string, string>(),
  config: undefined,
  rights: [],
  pingMs: [],
} as const;

/**
 * Looks at a Redis as a farm with these options would use it: connects in the same way, tries what its user may, measures, and
 * reads what it says of itself. It publishes to channels that nobody knows, and writes one key for the moment of a script.
 * Rejects for nothing that Redis or the network can do: that is the `problem`. Rejects with a RedisUrlError for a URL that is
 * none.
 */
export async function inspectRedis(options: InspectRedisOptions): Promise<RedisInspection> {
  const { url, prefix = 'roost:', timeoutMs = 10_000 } = options;
  const look = new Look(parseRedisUrl(url));
  const timer = setTimeout(() => look.giveUp(), timeoutMs);
  try {
    return await look.inspect(prefix, timeoutMs);
  } catch (error) {
    const problem = look.isGivenUp
      ? `Redis at ${look.shownUrl} did not answer within ${timeoutMs} ms.`
      : look.explain(error);
    return { ...UNKNOWN, shownUrl: look.shownUrl, problem };
  } finally {
    clearTimeout(timer);
    await look.end();
  }
}

/** The connections of one look at one server. */
class Look {
  isGivenUp = false;
  shownUrl: string;
  readonly #location: RedisLocation;
  readonly #clients: RedisClient[] = [];

  constructor(location: RedisLocation) {
    this.#location = location;
    this.shownUrl = location.shown;
  }

  async inspect(prefix: string, timeoutMs: number): Promise<RedisInspection> {
    const server = await this.#findServer(timeoutMs);
    const { redis, password } = await this.#connect(server);
    const role = await roleOf(redis);
    const usual = { ...UNKNOWN, shownUrl: this.shownUrl, role, password };
    // The wrong server: nothing else matters.
    if (role === 'sentinel') return usual;
    const subscriber = await this.#connect(server);
    return {
      ...usual,
      info: await infoOf(redis),
      config: await configOf(redis),
      rights: await tryRights(redis, subscriber.redis, prefix),
      pingMs: await pings(redis),
    };
  }

  giveUp(): void {
    this.isGivenUp = true;
    for (const client of this.#clients) client.reset();
  }

  async end(): Promise<void> {
    for (const client of this.#clients) client.reset();
    await Promise.all(this.#clients.map(({ ended }) => ended));
  }

  /** One sentence. */
  explain(error: unknown): string {
    if (error instanceof SentinelError) return error.message;
    // Of the connection itself more is known than that it has ended.
    const cause = this.#clients.find(({ lastError }) => lastError !== undefined)?.lastError;
    return explainFailure(this.shownUrl, isReplyError(error) ? error : (cause ?? error));
  }

  async #findServer(timeoutMs: number): Promise<ServerAddress> {
    const { target, isTls } = this.#location;
    if (!('masterName' in target)) return target;
    const master = await new Sentinels(target, timeoutMs / (target.sentinels.length + 1)).findMaster();
    this.shownUrl = `${isTls ? 'rediss' : 'redis'}://${shownAddress(master)}`;
    return master;
  }

  async #connect(
    server: ServerAddress,
  ): Promise<{ readonly redis: Redis; readonly password: RedisInspection['password'] }> {
    const { credentials, isTls } = this.#location;
    const client = new RedisClient(server, isTls);
    this.#clients.push(client);
    await client.connect();
    const { redis } = client;
    if (credentials === undefined) return { redis, password: 'none' };
    return { redis, password: (await authenticate(redis, credentials)) ? 'taken' : 'not wanted' };
  }
}

async function roleOf(redis: Redis): Promise<RedisRole> {
  try {
    return await askRole(redis);
  } catch (error) {
    // Denied; or NOAUTH, of a server that wants a password.
    if (isReplyError(error) && /^NOPERM|^ERR unknown/i.test(error.message)) return 'unknown';
    throw error;
  }
}

async function infoOf(redis: Redis): Promise<ReadonlyMap<string, string>> {
  try {
    return parseInfo(await redis.info());
  } catch (error) {
    if (isReplyError(error)) return new Map();
    throw error;
  }
}

export function parseInfo(text: string): Map<string, string> {
  const lines = text.split(/\r?\n/).flatMap((line): [string, string][] => {
    const colon = line.indexOf(':');
    return colon < 0 || line.startsWith('#') ? [] : [[line.slice(0, colon), line.slice(colon + 1)]];
  });
  return new Map(lines);
}

/** One by one: Redis before version 7 takes no list. */
async function configOf(redis: Redis): Promise<ReadonlyMap<string, string> | undefined> {
  const config = new Map<string, string>();
  for (const name of SETTINGS) {
    try {
      const answer: unknown = await redis.config('GET', name);
      const [, value]: readonly unknown[] = Array.isArray(answer) ? answer : [];
      if (typeof value === 'string') config.set(name, value);
    } catch (error) {
      if (isReplyError(error)) return undefined;
      throw error;
    }
  }
  return config;
}

/** One after the other; an error is an answer, too. */
async function pings(redis: Redis): Promise<number[]> {
  const times: number[] = [];
  for (let count = 0; count < PINGS; count++) {
    const from = performance.now();
    try {
      await redis.ping();
    } catch (error) {
      if (!isReplyError(error)) throw error;
    }
    times.push(performance.now() - from);
  }
  return times.toSorted((a, b) => a - b);
}
