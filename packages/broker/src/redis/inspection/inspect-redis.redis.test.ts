import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { listenLocally, redisIsInstalled, startRedis, startSentinel } from '@roost/testing';
import type { RedisFixture, RedisOptions } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { inspectRedis, parseInfo } from './inspect-redis.ts';
import type { RedisInspection } from './redis-inspection.ts';

const GUIDE = new URL('../../../../../docs/guide/broadcasting.md', import.meta.url);

/** The rights that the guide gives: of broadcasting, of what keeps presence, of what consumes recorded events. */
const [LEAST = [], STORE = [], EVENTS = []] = [
  ...readFileSync(GUIDE, 'utf8').matchAll(/^redis-cli ACL SETUSER roost (.*)$/gm),
].map(([, rules = '']) => rules.replaceAll("'", '').split(' '));

const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

async function redisWith(options: RedisOptions = {}): Promise<RedisFixture> {
  const redis = await startRedis(options);
  opened.push(() => redis.stop());
  return redis;
}

function commandsOf(rules: readonly string[]): string[] {
  return rules.filter((rule) => rule.startsWith('+')).toSorted();
}

function refusedOf({ rights }: RedisInspection): string[] {
  return rights.filter(({ refusal }) => refusal !== '').map(({ rule }) => rule);
}

describe.skipIf(!redisIsInstalled())('the look at a Redis (skipped without redis-server)', () => {
  it('finds nothing wrong with one as it comes, and leaves nothing behind', async () => {
    const redis = await redisWith();
    const seen = await inspectRedis({ url: redis.url });
    expect(seen).toMatchObject({ shownUrl: redis.url, problem: '', role: 'master', password: 'none' });
    expect(seen.info.get('redis_version')).toMatch(/^\d+\.\d+\.\d+$/);
    expect(seen.config?.get('client-output-buffer-limit')).toContain('pubsub 33554432 8388608 60');
    expect(seen.config?.get('maxmemory-policy')).toBe('noeviction');
    expect(seen.rights.length).toBeGreaterThan(20);
    expect(refusedOf(seen)).toEqual([]);
    expect(seen.pingMs).toHaveLength(50);
    expect(seen.pingMs).toEqual(seen.pingMs.toSorted((a, b) => a - b));
    expect(await redis.command('KEYS', '*')).toEqual([]);
    expect(await redis.command('PUBSUB', 'CHANNELS', '*')).toEqual([]);
    const clients = String(await redis.command('INFO', 'clients'));
    expect(clients).toMatch(/^connected_clients:1\r$/m);
  });

  it('names what a user may not, by the rules that would let it', async () => {
    const redis = await redisWith();
    const url = `redis://roost:password@127.0.0.1:${redis.port}`;
    const as = async (...rules: string[]): Promise<RedisInspection> => {
      await redis.command('ACL', 'SETUSER', 'roost', ...LEAST, ...rules);
      return inspectRedis({ url });
    };
    const least = await as();
    expect(refusedOf(least)).toEqual(['+eval +evalsha ~roost:*']);
    expect(least).toMatchObject({ password: 'taken', config: undefined, role: 'master' });
    expect(refusedOf(await as('-publish'))).toContain('+publish &roost:channel:*');
    expect(refusedOf(await as('resetchannels', '&roost:channel:*'))).toEqual([
      '&roost:control',
      '&roost:probe:*',
      '&roost:mark:*',
      '+eval +evalsha ~roost:*',
    ]);
    const blind = await as('-info');
    expect(refusedOf(blind)).toContain('+info');
    expect(blind).toMatchObject({ role: 'unknown', info: new Map() });
    expect(refusedOf(await as('+eval', '~roost:*', '+@read', '+@write', '-xadd', '-zscore'))).toEqual([
      '+evalsha',
      '+zscore',
      '+xadd',
      '+time',
    ]);
    // What it could not take back, it does not write.
    expect(refusedOf(await as('+evalsha', '~roost:*', '+@all', '-del'))).toEqual(['+del']);
    expect(await redis.command('KEYS', '*')).toEqual([]);
  });

  it('tries all that the guide gives, and nothing else', async () => {
    const redis = await redisWith();
    const url = `redis://roost:password@127.0.0.1:${redis.port}`;
    const as = async (rules: readonly string[]): Promise<RedisInspection> => {
      await redis.command('ACL', 'SETUSER', 'roost', ...rules);
      return inspectRedis({ url });
    };
    const store = await as([...LEAST, ...STORE]);
    const missing = store.rights.filter(({ refusal }) => refusal !== '');
    expect(missing.map(({ rule }) => rule).toSorted()).toEqual(commandsOf(EVENTS));
    expect(new Set(missing.map(({ need }) => need))).toEqual(new Set(['events']));
    const everything = await as(EVENTS);
    expect(refusedOf(everything)).toEqual([]);
    const tried = everything.rights.filter(({ need }) => need === 'store').map(({ rule }) => rule);
    expect(['+eval', ...tried].toSorted()).toEqual(commandsOf(STORE));
    expect(await redis.command('KEYS', '*')).toEqual([]);
  });

  it('says that a password is not wanted, and why credentials are not taken', async () => {
    const redis = await redisWith();
    const open = await inspectRedis({ url: `redis://:s3cret@127.0.0.1:${redis.port}` });
    expect(open).toMatchObject({ problem: '', password: 'not wanted' });
    await redis.command('ACL', 'SETUSER', 'default', '>right');
    const wrong = await inspectRedis({ url: `redis://:s3cret@127.0.0.1:${redis.port}` });
    expect(wrong.problem).toMatch(/ refused the credentials \(WRONGPASS /);
    expect((await inspectRedis({ url: redis.url })).problem).toMatch(/ refused the credentials \(NOAUTH /);
    expect(JSON.stringify(wrong)).not.toContain('s3cret');
  });

  it('asks the sentinels for the master, and knows a replica and a sentinel when it meets one', async () => {
    const master = await redisWith();
    const replica = await redisWith({ args: ['--replicaof', `127.0.0.1 ${master.port}`] });
    const sentinel = await startSentinel({ masterName: 'main', masterPort: master.port, quorum: 1 });
    opened.push(() => sentinel.stop());
    const found = await inspectRedis({ url: `redis+sentinel://127.0.0.1:${sentinel.port}/main` });
    expect(found).toMatchObject({ shownUrl: master.url, role: 'master', problem: '' });
    expect((await inspectRedis({ url: replica.url })).role).toBe('replica');
    expect((await inspectRedis({ url: sentinel.url })).role).toBe('sentinel');
    const lost = await inspectRedis({ url: `redis+sentinel://127.0.0.1:${sentinel.port}/other` });
    expect(lost.problem).toMatch(/^No sentinel knows the master "other"/);
  });

  it('says why one cannot be reached, and waits for none that is silent', async () => {
    const redis = await redisWith();
    await redis.stop();
    expect(await inspectRedis({ url: redis.url })).toMatchObject({
      problem: `Redis at ${redis.url} refused the connection (ECONNREFUSED).`,
      role: 'unknown',
      rights: [],
    });
    const silent = createServer((socket) => socket.on('error', () => undefined));
    const port = await listenLocally(silent);
    opened.push(() => new Promise((resolve) => silent.close(resolve)));
    expect((await inspectRedis({ url: `redis://127.0.0.1:${port}`, timeoutMs: 50 })).problem).toBe(
      `Redis at redis://127.0.0.1:${port} did not answer within 50 ms.`,
    );
  });
});

describe('INFO', () => {
  it('is read line by line, without its headings', () => {
    const text = '# Server\r\nredis_version:7.0.15\r\n\r\n# Replication\r\nslave0:ip=10.0.0.1,port=6379\r\n';
    expect([...parseInfo(text)]).toEqual([
      ['redis_version', '7.0.15'],
      ['slave0', 'ip=10.0.0.1,port=6379'],
    ]);
  });
});
