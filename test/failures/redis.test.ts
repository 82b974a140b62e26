import { execFileSync } from 'node:child_process';
import { eventually, redisIsInstalled, startRedis, startSentinel, TcpProxy } from '@roost/testing';
import type { FarmProcess, RedisFixture, RedisOptions, SentinelOptions } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { drillOf, hasLongDrills } from '../harness/failures-guide.ts';
import { PresenceClient, PUSHER } from '../harness/presence-client.ts';
import { PlainRedisClient } from '../harness/redis-client.ts';
import { call, connect, counter, endAfterTest, expectEcho, get, startFarm } from '../harness/system.ts';

async function ownRedis(options: RedisOptions = {}): Promise<RedisFixture> {
  const redis = await startRedis(options);
  endAfterTest(() => redis.stop());
  return redis;
}

async function ownSentinel(options: SentinelOptions): Promise<RedisFixture> {
  const sentinel = await startSentinel(options);
  endAfterTest(() => sentinel.stop());
  return sentinel;
}

async function proxyTo(redis: RedisFixture): Promise<TcpProxy> {
  const proxy = await TcpProxy.start(redis.port);
  endAfterTest(() => proxy.stop());
  return proxy;
}

async function readyFarm(url: string, args: readonly string[] = []): Promise<FarmProcess> {
  const farm = await startFarm(['--redis-url', url, ...args]);
  await becomes(farm, 200);
  return farm;
}

/** `deadlineMs` is for what takes longer by design. */
async function becomes(farm: FarmProcess, status: 200 | 503, deadlineMs = 10_000): Promise<void> {
  await eventually(async () => (await get(farm, '/health/ready')).status === status, {
    deadlineMs,
    what: `the farm is ${status === 200 ? 'ready' : 'not ready'}`,
  });
}

/** Both workers say so; each notices by itself. */
async function everyWorkerIsAway(farm: FarmProcess, words: string): Promise<void> {
  for (const worker of [0, 1]) {
    await farm.log(
      (line) =>
        line['msg'] === 'broker state' && line['worker'] === worker && String(line['reason']).includes(words),
    );
  }
}

/** A publication through the API reaches the client, and no other comes before. */
async function expectPublication(
  farm: FarmProcess,
  client: Awaited<ReturnType<typeof connect>>,
): Promise<void> {
  expect(await call(farm, 'publish', { channel: 'news', data: 'back' })).toMatchObject({ status: 200 });
  expect((await client.nextMessage()).text).toBe('back');
}

/** A master and a replica that follows it. */
async function pair(): Promise<{ master: RedisFixture; replica: RedisFixture }> {
  const atOnce = ['--repl-diskless-sync-delay', '0'];
  const master = await ownRedis({ args: atOnce });
  const replica = await ownRedis({ args: ['--replicaof', `127.0.0.1 ${master.port}`, ...atOnce] });
  await eventually(
    async () => String(await replica.command('INFO', 'replication')).includes('master_link_status:up'),
    { what: 'the replica follows' },
  );
  return { master, replica };
}

describe.skipIf(!redisIsInstalled())('a farm whose Redis (skipped without redis-server)', () => {
  it('stands still for a moment loses nothing, and publications wait', async () => {
    const drill = drillOf('Redis is slow to answer');
    const redis = await ownRedis({ args: ['--enable-debug-command', 'yes'] });
    const farm = await readyFarm(redis.url);
    const client = await connect(farm, '/plain?channel=news');
    const naps: Promise<unknown>[] = [];
    await eventually(async () => {
      naps.push(redis.command('DEBUG', 'SLEEP', '1'));
      const from = performance.now();
      await expectPublication(farm, client);
      // The first may come before the sleep.
      return performance.now() - from > 500;
    });
    await Promise.all(naps);
    expect((await get(farm, '/health/ready')).status).toBe(200);
    expect(farm.logs.filter(({ msg }) => msg === 'publications may have been missed')).toEqual([]);
    await drill.expectQuoted(() => farm.logs);
  });

  it.runIf(hasLongDrills)(
    'hangs counts as away within seconds, and nothing is lost that it had',
    async () => {
      const drill = drillOf('Redis hangs');
      const redis = await ownRedis();
      const farm = await readyFarm(redis.url);
      const client = await connect(farm, '/plain?channel=news');
      const echo = await connect(farm, '/echo');
      const from = performance.now();
      await redis.kill('SIGSTOP');
      const publication = call(farm, 'publish', { channel: 'news', data: 'under way' });
      await becomes(farm, 503, 20_000);
      drill.tookMs('the farm is not ready', from);
      await everyWorkerIsAway(farm, 'did not');
      expect(await publication).toMatchObject({ status: 504, body: { error: { code: 1001 } } });
      await expectEcho(echo, 'still here');
      expect(await call(farm, 'publish', { channel: 'news', data: 'lost' })).toMatchObject({ status: 503 });

      const back = performance.now();
      await redis.kill('SIGCONT');
      await becomes(farm, 200);
      drill.tookMs('the farm is ready', back);
      // What Redis had received is carried out when it goes on.
      expect((await client.nextMessage()).text).toBe('under way');
      await expectPublication(farm, client);
      await drill.expectQuoted(() => farm.logs);
    },
  );

  it.runIf(hasLongDrills)(
    'sends faster than the network takes it says what was lost, and goes on',
    async () => {
      const drill = drillOf('The network to Redis is too slow');
      const redis = await ownRedis();
      await redis.command('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 4mb 0 0');
      const network = await proxyTo(redis);
      const farm = await readyFarm(`redis://127.0.0.1:${network.port}`, ['--workers', '1']);
      const client = await connect(farm, '/plain?channel=news');
      network.throttle(await redis.clientPort('roost-subscriber'), 4 * 1024 * 1024);
      const publisher = await PlainRedisClient.connect(redis.port);
      const from = performance.now();
      const text = 'x'.repeat(256 * 1024);
      await eventually(
        async () => {
          await publisher.publish('roost:channel:news', text);
          return farm.logs.some(({ msg }) => msg === 'publications may have been missed');
        },
        { deadlineMs: 60_000, what: 'the gap is reported' },
      );
      drill.tookMs('Redis has cut the connection and it is made again', from);
      await becomes(farm, 200);
      expect(await call(farm, 'publish', { channel: 'news', data: 'back' })).toMatchObject({ status: 200 });
      await eventually(async () => (await client.nextMessage()).text === 'back');
      expect(await counter(farm, 'connections_with_gap')).toBe(1);
      await drill.expectQuoted(() => farm.logs);
    },
  );

  it('is out of memory refuses who joins, carries publications, and catches up', async () => {
    const drill = drillOf('Redis is out of memory');
    const redis = await ownRedis();
    const farm = await readyFarm(redis.url, PUSHER);
    const [ann, bob] = [await PresenceClient.connect(farm), await PresenceClient.connect(farm)];
    expect(await ann.join('ann')).toMatchObject({ event: 'pusher_internal:subscription_succeeded' });
    expect(await bob.join('bob')).toMatchObject({ event: 'pusher_internal:subscription_succeeded' });
    expect(await ann.next()).toMatchObject({ event: 'pusher_internal:member_added' });
    const news = await connect(farm, '/plain?channel=news');
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');

    const eve = await PresenceClient.connect(farm);
    expect(await eve.join('eve')).toMatchObject({ event: 'pusher:error', data: { code: 4100 } });
    expect((await eve.client.closed).code).toBe(4100);
    await expectPublication(farm, news);
    expect((await get(farm, '/health/ready')).status).toBe(200);
    // That he has left is told when it can be.
    await bob.client.close();

    const from = performance.now();
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    expect(await ann.next()).toMatchObject({
      event: 'pusher_internal:member_removed',
      data: expect.stringContaining('bob'),
    });
    drill.tookMs('who has left is told of', from);
    const again = await PresenceClient.connect(farm);
    expect(await again.join('eve')).toMatchObject({ event: 'pusher_internal:subscription_succeeded' });
    await drill.expectQuoted(() => farm.logs);
  });

  it.runIf(hasLongDrills)(
    'wants another password keeps its connections until they end, and is away until the password fits',
    async () => {
      const drill = drillOf('Redis wants another password');
      const redis = await ownRedis();
      const cli = (...words: string[]): void =>
        void execFileSync('redis-cli', ['-p', String(redis.port), '--no-auth-warning', ...words]);
      const farm = await readyFarm(redis.url);
      const client = await connect(farm, '/plain?channel=news');
      await redis.command('CONFIG', 'SET', 'requirepass', 'new');
      // Those that are there stay who they are.
      await expectPublication(farm, client);
      for (const type of ['normal', 'pubsub']) cli('-a', 'new', 'CLIENT', 'KILL', 'TYPE', type);
      const from = performance.now();
      await becomes(farm, 503);
      drill.tookMs('the farm is not ready', from);
      await farm.log(({ msg, reason }) => msg === 'broker state' && String(reason).includes('NOAUTH'));
      expect(await call(farm, 'publish', { channel: 'news', data: 'lost' })).toMatchObject({ status: 503 });
      cli('-a', 'new', 'CONFIG', 'SET', 'requirepass', '');
      const back = performance.now();
      await becomes(farm, 200);
      drill.tookMs('the farm is ready', back);
      await expectPublication(farm, client);
      await drill.expectQuoted(() => farm.logs);
    },
  );

  it('becomes a replica counts as away within seconds, until its name leads to the master', async () => {
    const drill = drillOf('Redis becomes a replica');
    const { master, replica } = await pair();
    const name = await proxyTo(master);
    const farm = await readyFarm(`redis://127.0.0.1:${name.port}`);
    const client = await connect(farm, '/plain?channel=news');
    await replica.command('REPLICAOF', 'NO', 'ONE');
    await master.command('REPLICAOF', '127.0.0.1', String(replica.port));
    const from = performance.now();
    await becomes(farm, 503);
    drill.tookMs('the farm is not ready', from);
    await everyWorkerIsAway(farm, 'is a replica');
    name.target = replica.port;
    const back = performance.now();
    await becomes(farm, 200);
    drill.tookMs('the farm is ready', back);
    await expectPublication(farm, client);
    await drill.expectQuoted(() => farm.logs);
  });

  it.runIf(hasLongDrills)('is replaced by Sentinel is followed to the new master', async () => {
    const drill = drillOf('Sentinel makes another Redis the master');
    const { master } = await pair();
    const options = { masterName: 'roost', masterPort: master.port, quorum: 2 };
    const sentinels = await Promise.all([1, 2, 3].map(() => ownSentinel(options)));
    for (const sentinel of sentinels) {
      await eventually(
        async () => {
          const about = await sentinel.command('SENTINEL', 'MASTER', 'roost');
          const facts = Array.isArray(about) ? about.map(String) : [];
          const fact = (key: string): string => facts[facts.indexOf(key) + 1] ?? '';
          return fact('num-slaves') === '1' && fact('num-other-sentinels') === '2';
        },
        { what: 'the sentinels know each other and the replica' },
      );
    }
    const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join();
    const farm = await readyFarm(`redis+sentinel://${hosts}/roost`, PUSHER);
    const client = await connect(farm, '/plain?channel=news');
    const [ann, eve] = [await PresenceClient.connect(farm), await PresenceClient.connect(farm)];
    expect(await ann.join('ann')).toMatchObject({ event: 'pusher_internal:subscription_succeeded' });
    const from = performance.now();
    await master.kill();
    await becomes(farm, 503);
    expect(await eve.join('eve')).toMatchObject({ event: 'pusher:error', data: { code: 4100 } });
    await becomes(farm, 200, 30_000);
    drill.tookMs('the farm is ready (down-after-milliseconds is 500)', from);
    await expectPublication(farm, client);
    const again = await PresenceClient.connect(farm);
    const { data } = await again.join('eve');
    for (const user of ['ann', 'eve']) expect(data).toContain(`"${user}"`);
    await drill.expectQuoted(() => farm.logs);
  });
});
