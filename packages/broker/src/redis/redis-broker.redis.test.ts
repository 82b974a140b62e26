import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, freePort, listenLocally, redisIsInstalled, startRedis } from '@roost/testing';
import type { RedisFixture } from '@roost/testing';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { describeBrokerContract, Recorder, settle } from '../broker.contract.ts';
import { callCount, create, isAway, isReady, start } from './fixtures/broker-harness.ts';
import { RedisBroker } from './redis-broker.ts';

/** The ids of the brokers' connections of one kind. */
async function clientIds(redis: RedisFixture, role: 'publisher' | 'subscriber'): Promise<string[]> {
  const list = String(await redis.command('CLIENT', 'LIST'));
  const lines = list.split('\n').filter((line) => line.includes(` name=roost-${role} `));
  return lines.map((line) => /^id=(\d+)/.exec(line)?.[1] ?? '');
}

async function killClients(redis: RedisFixture, role: 'publisher' | 'subscriber'): Promise<void> {
  for (const id of await clientIds(redis, role)) await redis.command('CLIENT', 'KILL', 'ID', id);
}

describe.skipIf(!redisIsInstalled())('RedisBroker (skipped without redis-server)', () => {
  describe('with a Redis that stays', () => {
    let redis: RedisFixture;

    beforeAll(async () => {
      redis = await startRedis();
    });

    afterAll(async () => {
      await redis.stop();
    });

    beforeEach(async () => {
      await redis.command('CONFIG', 'RESETSTAT');
    });

    describeBrokerContract({
      create: (seen, options) =>
        new RedisBroker({ url: redis.url, handlers: seen, wanted: seen.wanted, ...options }),
      control: async (message) => {
        await redis.command('PUBLISH', 'roost:control', message);
      },
    });

    it('delivers what any client publishes to <prefix>channel:<name>', async () => {
      const worker = await start({ url: redis.url });
      await worker.subscribe('x');
      const client = new Redis(redis.url);
      await client.publish('roost:channel:x', Buffer.from('00ff', 'hex'));
      await client.publish('roost:channel:y', 'not subscribed');
      await client.publish('channel:x', 'another key');
      client.disconnect();
      await settle(worker);
      expect(worker.seen.publications[0]).toEqual({
        channel: 'x',
        kind: 'publication',
        version: 0,
        payload: Buffer.from('00ff', 'hex'),
      });
      expect(worker.seen.publications).toHaveLength(2);
    });

    it('keeps farms with different prefixes apart', async () => {
      const [one, other] = [await start({ url: redis.url, prefix: 'ü:' }), await start({ url: redis.url })];
      for (const worker of [one, other]) await worker.subscribe('news');
      await one.broker.publish('news', Buffer.from('x'));
      await redis.command('PUBLISH', 'ü:control', 'for one');
      await settle(one);
      await settle(other);
      expect(one.seen.texts('news')).toEqual(['x']);
      expect(one.seen.controls.map(String)).toEqual(['for one']);
      expect(other.seen.texts('news')).toEqual([]);
      expect(other.seen.controls).toEqual([]);
    });

    it('subscribes only channels that are wanted, and unsubscribes them after the linger', async () => {
      const worker = await start({ url: redis.url, unsubscribeLingerMs: 20 });
      await worker.subscribe('one');
      await worker.subscribe('two');
      expect(await redis.command('PUBSUB', 'NUMSUB', 'roost:channel:one')).toEqual(['roost:channel:one', 1]);
      worker.unsubscribe('one');
      await eventually(async () => {
        expect(await redis.command('PUBSUB', 'CHANNELS', 'roost:channel:*')).toEqual(['roost:channel:two']);
      });
    });

    it('subscribes the channels of one tick with one command, up to 512', async () => {
      const worker = await start({ url: redis.url });
      const before = await callCount(redis, 'subscribe');
      await Promise.all(Array.from({ length: 1_500 }, (_, index) => worker.subscribe(`many:${index}`)));
      expect((await callCount(redis, 'subscribe')) - before).toBe(3);
    });

    it('probes an idle subscription, and is content when the probe comes back', async () => {
      const worker = await start({ url: redis.url, probeIntervalMs: 20, probeTimeoutMs: 5_000 });
      await eventually(async () => (await callCount(redis, 'publish')) >= 4, {
        what: 'four probes are sent',
      });
      expect(worker.seen.states).toEqual(['ready']);
      expect(worker.seen.gaps).toEqual([]);
    });

    it('does not blame Redis for what it does not read itself', async () => {
      const worker = await start({ url: redis.url, probeIntervalMs: 20, probeTimeoutMs: 40 });
      // Before it asks, and while it waits for an answer.
      for (let round = 0; round < 5; round += 1) {
        worker.broker.setReading(false);
        const until = performance.now() + 150;
        await eventually(() => performance.now() > until);
        worker.broker.setReading(true);
        await settle(worker);
      }
      expect(worker.seen.states).toEqual(['ready']);
      expect(worker.broker.counters.lostConnectionCount).toBe(0);
    });

    it('leaves no connection behind when it is stopped', async () => {
      const { broker } = await start({ url: redis.url });
      expect(await clientIds(redis, 'publisher')).toHaveLength(1);
      expect(await clientIds(redis, 'subscriber')).toHaveLength(1);
      await broker.stop();
      await eventually(async () => {
        expect(await redis.command('CLIENT', 'LIST')).not.toContain('roost-');
      });
    });

    it('comes back when its subscriber connection is killed, and tells of the gap once', async () => {
      const worker = await start({ url: redis.url });
      for (const name of ['one', 'two', 'left']) await worker.subscribe(name);
      worker.unsubscribe('left');
      await killClients(redis, 'subscriber');
      await isAway(worker.broker);
      expect(worker.broker.isConfirmed('one')).toBe(false);
      await isReady(worker.broker);
      expect(worker.broker.isConfirmed('one')).toBe(true);
      await worker.broker.publish('one', Buffer.from('again'));
      await settle(worker);
      expect(worker.seen.texts('one')).toEqual(['again']);
      expect(worker.seen.gaps).toHaveLength(1);
      expect(worker.seen.gaps[0]).toMatchObject({
        channelCount: 2,
        reason: expect.stringContaining('closed'),
      });
      expect(worker.seen.gaps[0]?.sinceMs).toBeGreaterThan(0);
      expect(worker.broker.counters).toMatchObject({
        lostConnectionCount: 1,
        gapCount: 1,
        gapChannelCount: 2,
      });
    });

    it('misses nothing when only its publisher connection is killed', async () => {
      const worker = await start({ url: redis.url });
      await worker.subscribe('one');
      await killClients(redis, 'publisher');
      await isAway(worker.broker);
      expect(worker.broker.isConfirmed('one')).toBe(true);
      await redis.command('PUBLISH', 'roost:channel:one', 'meanwhile');
      await isReady(worker.broker);
      await settle(worker);
      expect(worker.seen.texts('one')).toEqual(['meanwhile']);
      expect(worker.seen.gaps).toEqual([]);
    });

    it('restores thousands of channels in bounded commands', async () => {
      const worker = await start({ url: redis.url });
      const names = Array.from({ length: 5_000 }, (_, index) => `many:${index}`);
      await Promise.all(names.map((name) => worker.subscribe(name)));
      const before = await callCount(redis, 'subscribe');
      await killClients(redis, 'subscriber');
      await eventually(() => worker.seen.gaps.length === 1, { what: 'the gap is told' });
      expect(worker.seen.gaps[0]?.channelCount).toBe(5_000);
      expect(names.every((name) => worker.broker.isConfirmed(name))).toBe(true);
      // Three for its own keys, ten for the channels.
      expect((await callCount(redis, 'subscribe')) - before).toBe(13);
    });

    it('does not name a password, whatever is malformed about the URL', () => {
      const handlers = new Recorder();
      for (const url of ['redis:/secret@host', 'http://u:secret@host', 'u:secret@host:6379', '']) {
        let message = '';
        try {
          expect(new RedisBroker({ url, handlers, wanted: handlers.wanted })).toBeUndefined();
        } catch (error) {
          expect(error).toMatchObject({ code: 'BROKER_INVALID_OPTION' });
          message = String(error);
        }
        expect(message).toContain('must be a redis://');
        expect(message).not.toContain('secret');
      }
    });
  });

  describe('with a Redis that fails', () => {
    let redis: RedisFixture;

    beforeEach(async () => {
      redis = await startRedis();
    });

    afterEach(async () => {
      await redis.stop();
    });

    it('starts without Redis, fails at once, and connects when it comes', async () => {
      await redis.kill();
      const worker = create({ url: redis.url });
      await worker.broker.start();
      expect(worker.broker.state).toBe('away');
      expect(worker.broker.stateReason).toBe(
        `Redis at redis://127.0.0.1:${redis.port} refused the connection (ECONNREFUSED).`,
      );
      expect(await worker.subscribe('news')).toBe('gap');
      expect(worker.broker.isConfirmed('news')).toBe(false);
      await expect(worker.broker.publish('news', Buffer.from('x'))).rejects.toMatchObject({
        code: 'BROKER_UNAVAILABLE',
        message: expect.stringContaining('nothing was sent: Redis at'),
      });

      await redis.restart();
      await isReady(worker.broker);
      await worker.broker.publish('news', Buffer.from('x'));
      await settle(worker);
      expect(worker.seen.texts('news')).toEqual(['x']);
      expect([...new Set(worker.seen.states)]).toEqual(['away', 'ready']);
      expect(worker.seen.gaps).toMatchObject([{ channelCount: 1 }]);
    });

    it('survives the death of Redis: all channels are subscribed again, and one gap is told', async () => {
      const workers = [await start({ url: redis.url }), await start({ url: redis.url })] as const;
      for (const worker of workers) {
        await worker.subscribe('one');
        await worker.subscribe('two');
      }
      await redis.kill();
      for (const { broker } of workers) await isAway(broker);
      expect(await workers[0].subscribe('three')).toBe('gap');
      await expect(workers[0].broker.publish('one', Buffer.from('lost'))).rejects.toMatchObject({
        code: 'BROKER_UNAVAILABLE',
      });
      await redis.restart();
      for (const { broker } of workers) await isReady(broker);
      expect(workers[0].broker.isConfirmed('three')).toBe(true);
      await workers[1].broker.publish('three', Buffer.from('a'));
      await workers[1].broker.publish('one', Buffer.from('b'));
      for (const worker of workers) await settle(worker, workers[1].broker);
      expect(workers[0].seen.texts('three')).toEqual(['a']);
      expect(workers[0].seen.texts('one')).toEqual(['b']);
      expect(workers[1].seen.texts('one')).toEqual(['b']);
      expect(workers[0].seen.gaps).toMatchObject([{ channelCount: 3 }]);
      expect(workers[1].seen.gaps).toMatchObject([{ channelCount: 2 }]);
    });

    it('reports a publish that was under way when Redis died as unknown', async () => {
      const { broker } = await start({ url: redis.url });
      await redis.kill('SIGSTOP');
      const published = broker.publish('news', Buffer.from('x'));
      const outcome = expect(published).rejects.toMatchObject({ code: 'BROKER_OUTCOME_UNKNOWN' });
      await redis.kill('SIGKILL');
      await outcome;
    });

    it('gives up publishes that a silent Redis does not answer', async () => {
      const { broker } = await start({ url: redis.url, publishTimeoutMs: 100 });
      await redis.kill('SIGSTOP');
      await expect(broker.publish('news', Buffer.from('x'))).rejects.toMatchObject({
        code: 'BROKER_OUTCOME_UNKNOWN',
      });
      expect(broker.stateReason).toContain('did not answer a publish within 100 ms');
      await redis.kill('SIGCONT');
      await isReady(broker);
      await broker.publish('news', Buffer.from('x'));
    });

    it('bounds the bytes under way, and takes more when Redis has answered', async () => {
      const { broker } = await start({ url: redis.url, maxInFlightBytes: 10_000 });
      await redis.kill('SIGSTOP');
      const first = broker.publish('news', Buffer.alloc(9_000));
      await expect(broker.publish('news', Buffer.alloc(1_000))).rejects.toMatchObject({
        code: 'BROKER_OVERLOADED',
        message: expect.stringContaining('9512 bytes are under way'),
      });
      await redis.kill('SIGCONT');
      await first;
      await broker.publish('news', Buffer.alloc(1_000));
      await expect(broker.publish('news', Buffer.alloc(10_000))).rejects.toMatchObject({
        code: 'BROKER_OVERLOADED',
      });
    });

    it('notices a Redis that is silent on healthy connections, and comes back with it', async () => {
      const worker = await start({
        url: redis.url,
        probeIntervalMs: 50,
        probeTimeoutMs: 100,
        connectTimeoutMs: 200,
      });
      await worker.subscribe('one');
      await redis.kill('SIGSTOP');
      await isAway(worker.broker);
      expect(worker.seen.reasons.at(-1)).toMatch(
        /was silent for \d+ ms and did not return a probe within 100 ms/,
      );
      await eventually(() => worker.broker.stateReason.includes('was not ready within 200 ms'));
      expect(await worker.subscribe('two')).toBe('gap');
      await redis.kill('SIGCONT');
      await eventually(() => worker.seen.gaps.length === 1, { what: 'the gap is told' });
      expect(worker.seen.gaps[0]?.channelCount).toBe(2);
      expect(worker.seen.gaps[0]?.reason).toContain('did not return a probe');
      // From the last sign of life on, so at least as long as it took to notice.
      expect(worker.seen.gaps[0]?.sinceMs).toBeGreaterThanOrEqual(150);
    });

    it('sits out a pause that is shorter than the probe takes', async () => {
      const worker = await start({ url: redis.url, probeIntervalMs: 20, probeTimeoutMs: 5_000 });
      await worker.subscribe('one');
      await redis.command('CLIENT', 'PAUSE', '300', 'ALL');
      await worker.broker.publish('one', Buffer.from('later'));
      await settle(worker);
      expect(worker.seen.texts('one')).toEqual(['later']);
      expect(worker.seen.states).toEqual(['ready']);
    });

    it('rejects a subscribe that Redis does not confirm in time, and leaves nothing behind', async () => {
      const worker = await start({ url: redis.url, subscribeTimeoutMs: 50, unsubscribeLingerMs: 10 });
      await redis.kill('SIGSTOP');
      await expect(worker.subscribe('news')).rejects.toMatchObject({ code: 'BROKER_SUBSCRIBE_TIMEOUT' });
      await redis.kill('SIGCONT');
      await eventually(async () => {
        expect(await redis.command('PUBSUB', 'CHANNELS', 'roost:channel:*')).toEqual([]);
      });
      expect(await worker.subscribe('news')).toBe('confirmed');
    });

    it('answers a subscribe that is under way when Redis dies with a gap', async () => {
      const worker = await start({ url: redis.url });
      const { broker } = worker;
      await redis.kill('SIGSTOP');
      const subscribed = worker.subscribe('news');
      await eventually(() => broker.state === 'ready');
      await redis.kill('SIGKILL');
      expect(await subscribed).toBe('gap');
      await redis.restart();
      await eventually(() => broker.isConfirmed('news'), { what: 'the channel is subscribed later' });
    });

    it('stops within moments although Redis is silent', async () => {
      const { broker } = await start({ url: redis.url });
      await redis.kill('SIGSTOP');
      const published = expect(broker.publish('news', Buffer.from('x'))).rejects.toMatchObject({
        code: 'BROKER_OUTCOME_UNKNOWN',
      });
      // Redis is silent for as long as that takes.
      await broker.stop();
      await published;
    });
  });

  describe('with credentials', () => {
    let redis: RedisFixture;

    beforeAll(async () => {
      redis = await startRedis();
      const rules = 'on >s3cr:t@ +@pubsub +@connection +info resetchannels';
      const channels = '&roost:control &roost:probe:* &roost:channel:fine*';
      await redis.command('ACL', 'SETUSER', 'farm', ...`${rules} ${channels}`.split(' '));
    });

    afterAll(async () => {
      await redis.stop();
    });

    const urlWith = (password: string, database = ''): string =>
      `redis://farm:${encodeURIComponent(password)}@127.0.0.1:${redis.port}${database}`;

    it('takes user, password and database from the URL, and shows no password', async () => {
      const worker = await start({ url: urlWith('s3cr:t@', '/3') });
      const { broker } = worker;
      expect(broker.stateReason).toBe(`Connected to Redis at redis://127.0.0.1:${redis.port}/3.`);
      expect(await worker.subscribe('fine')).toBe('confirmed');
    });

    it('says that the credentials are wrong, without showing them', async () => {
      const { broker, seen } = create({ url: urlWith('wr0ng') });
      await broker.start();
      expect(broker.state).toBe('away');
      expect(broker.stateReason).toMatch(/refused the credentials \(WRONGPASS/);
      const failure: unknown = await broker
        .publish('news', Buffer.from('x'))
        .catch((error: unknown) => error);
      expect(`${seen.reasons.join(' ')} ${String(failure)} ${JSON.stringify(failure)}`).not.toContain(
        'wr0ng',
      );
    });

    it('refuses only the channels that Redis refuses, though they are asked for together', async () => {
      const worker = await start({ url: urlWith('s3cr:t@') });
      const { broker, seen } = worker;
      const names = ['fine 1', 'secret 1', 'fine 2', 'fine 3', 'secret 2'];
      const outcomes = await Promise.allSettled(names.map((name) => worker.subscribe(name)));
      expect(outcomes.map(({ status }) => status)).toEqual(
        names.map((name) => (name.startsWith('fine') ? 'fulfilled' : 'rejected')),
      );
      expect(outcomes[1]).toMatchObject({ reason: { code: 'BROKER_REFUSED' } });
      expect(names.map((name) => broker.isConfirmed(name))).toEqual([true, false, true, true, false]);
      await expect(broker.publish('secret 1', Buffer.from('x'))).rejects.toMatchObject({
        code: 'BROKER_REFUSED',
        message: expect.stringContaining('NOPERM'),
      });
      expect(seen.states).toEqual(['ready']);
    });

    it('stays away, and says why, while it may not subscribe its own keys', async () => {
      const { broker } = create({ url: urlWith('s3cr:t@'), prefix: 'forbidden:' });
      await broker.start();
      await eventually(() => broker.stateReason.includes('NOPERM'), { what: 'the reason names NOPERM' });
      expect(broker.state).toBe('away');
    });
  });

  it('speaks over a Unix socket, and is reset there as well', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'roost-unix-'));
    const path = join(folder, 'redis.sock');
    const redis = await startRedis({ args: ['--unixsocket', path] });
    await redis.command('ACL', 'SETUSER', 'farm', 'on', '>s3cret', '+@all', 'allchannels');
    for (const url of [path, `unix://farm:s3cret@${path}`]) {
      const worker = await start({ url, publishTimeoutMs: 200 });
      expect(worker.broker.stateReason).toBe(`Connected to Redis at ${path}.`);
      await worker.subscribe('news');
      await redis.kill('SIGSTOP');
      await expect(worker.broker.publish('news', Buffer.from('x'))).rejects.toMatchObject({
        code: 'BROKER_OUTCOME_UNKNOWN',
      });
      await redis.kill('SIGCONT');
      await isReady(worker.broker);
      await settle(worker);
      await worker.broker.stop();
    }
    await redis.stop();
    rmSync(folder, { recursive: true });
  });

  it('gives up a server that accepts and is silent, and tries again', async () => {
    let connectionCount = 0;
    const server = createServer((socket) => {
      connectionCount += 1;
      socket.on('error', () => {});
      socket.resume();
    });
    const port = await listenLocally(server);
    const { broker } = create({ url: `redis://127.0.0.1:${port}`, connectTimeoutMs: 50 });
    await broker.start();
    expect(broker.stateReason).toBe(`Redis at redis://127.0.0.1:${port} was not ready within 50 ms.`);
    await eventually(() => connectionCount >= 4, { what: 'both connections are tried twice' });
    await broker.stop();
    server.close();
  });

  it('pauses longer and longer between attempts, up to the bound', async () => {
    const port = await freePort();
    const attempts: number[] = [];
    const server = createServer((socket) => {
      attempts.push(performance.now());
      socket.destroy();
    });
    server.listen(port, '127.0.0.1');
    const { broker } = create({ url: `redis://127.0.0.1:${port}`, maxRetryDelayMs: 100 });
    await broker.start();
    await eventually(() => attempts.length >= 12, { what: 'twelve attempts are made' });
    // Two connections: six attempts each, five pauses of 25–50, 50–100, and three times 50–100 ms.
    const elapsedMs = (attempts[11] ?? 0) - (attempts[0] ?? 0);
    expect(elapsedMs).toBeGreaterThan(150);
    expect(broker.state).toBe('away');
    await broker.stop();
    server.close();
  });
});
