import { eventually, redisIsInstalled, startRedis } from '@roost/testing';
import type { RedisFixture } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { settle } from '../broker.contract.ts';
import { isAway, isReady, start } from './fixtures/broker-harness.ts';

describe.skipIf(!redisIsInstalled())('marks through Redis (skipped without redis-server)', () => {
  let redis: RedisFixture;

  beforeEach(async () => {
    redis = await startRedis();
  });

  afterEach(async () => {
    await redis.stop();
  });

  async function runId(of = redis): Promise<string | undefined> {
    return /run_id:(\w+)/.exec(String(await of.command('INFO', 'server')))?.[1];
  }

  it('are put in order by the server that names itself, another one after a restart', async () => {
    const { broker } = await start({ url: redis.url });
    const first = await runId();
    expect(broker.server).toBe(first);
    expect(broker.epoch).toBe(1);
    await redis.kill('SIGKILL');
    await isAway(broker);
    expect(broker.server).toBeUndefined();
    expect(broker.epoch).toBe(2);
    await redis.restart();
    await isReady(broker);
    expect(broker.server).toBe(await runId());
    expect(broker.server).not.toBe(first);
    expect(broker.epoch).toBe(2);
  });

  it.each(['subscriber', 'publisher'] as const)(
    'are heard again, of others too, when the %s connection was lost; only a lost subscription changes the epoch',
    async (role) => {
      const [one, other] = [await start({ url: redis.url }), await start({ url: redis.url })];
      const { markAddress } = other.broker;
      await one.broker.watchMarks(markAddress);
      for (const worker of [one, other]) await worker.subscribe('news');
      const list = String(await redis.command('CLIENT', 'LIST'));
      for (const [, id = ''] of list.matchAll(new RegExp(`^id=(\\d+).* name=roost-${role} `, 'gm'))) {
        await redis.command('CLIENT', 'KILL', 'ID', id);
      }
      for (const { broker, seen } of [one, other]) {
        await eventually(() => seen.states.includes('away'), { what: 'the loss is noticed' });
        await isReady(broker);
      }
      await one.broker.publish('news', Buffer.from('x'));
      await one.broker.mark(markAddress, 7);
      const epoch = role === 'subscriber' ? 2 : 1;
      for (const worker of [one, other]) {
        await settle(worker, one.broker);
        expect(worker.seen.arrivals.slice(0, 2)).toEqual(['news x', 'mark 7']);
        expect(worker.seen.marks).toEqual([{ address: markAddress, id: 7, epoch }]);
        expect(worker.broker.epoch).toBe(epoch);
      }
    },
  );

  it('wait in order for a Redis that is stopped for a while', async () => {
    const [one, other] = [await start({ url: redis.url }), await start({ url: redis.url })];
    for (const worker of [one, other]) await worker.subscribe('news');
    await one.broker.watchMarks(other.broker.markAddress);
    await redis.kill('SIGSTOP');
    const sent = [
      one.broker.publish('news', Buffer.from('before')),
      one.broker.mark(other.broker.markAddress, 1),
      one.broker.publish('news', Buffer.from('after')),
    ];
    await redis.kill('SIGCONT');
    await Promise.all(sent);
    for (const worker of [one, other]) {
      await settle(worker, one.broker);
      expect(worker.seen.arrivals.slice(0, 3)).toEqual(['news before', 'mark 1', 'news after']);
      expect(worker.broker.epoch).toBe(1);
    }
  });

  it('fail, and the epoch changes, when Redis is silent for too long', async () => {
    const options = { url: redis.url, probeIntervalMs: 50, probeTimeoutMs: 100, connectTimeoutMs: 200 };
    const { broker } = await start(options);
    await redis.kill('SIGSTOP');
    await expect(broker.mark(broker.markAddress, 1)).rejects.toMatchObject({
      code: 'BROKER_OUTCOME_UNKNOWN',
    });
    expect(broker.epoch).toBe(2);
    await redis.kill('SIGCONT');
    await isReady(broker);
    await broker.mark(broker.markAddress, 2);
  });

  it('have different servers where brokers are connected to different ones', async () => {
    const another = await startRedis();
    try {
      const one = await start({ url: redis.url });
      const other = await start({ url: another.url });
      expect(one.broker.server).not.toBe(other.broker.server);
      expect(one.broker.server).toBe(await runId());
      expect(other.broker.server).toBe(await runId(another));
    } finally {
      await another.stop();
    }
  });

  it('of a broker with another prefix are not for this one', async () => {
    const [one, other] = [await start({ url: redis.url }), await start({ url: redis.url, prefix: 'ü:' })];
    const expected = { code: 'BROKER_INVALID_CHANNEL', message: expect.stringContaining('another prefix') };
    await expect(one.broker.mark(other.broker.markAddress, 1)).rejects.toMatchObject(expected);
    await expect(one.broker.watchMarks(other.broker.markAddress)).rejects.toMatchObject(expected);
    await other.broker.mark(other.broker.markAddress, 3);
    await eventually(() => other.seen.marks.length === 1, { what: 'it hears its own' });
  });

  it('are not what somebody else publishes there', async () => {
    const worker = await start({ url: redis.url });
    for (const message of ['', '1', '123456789', Buffer.alloc(8, 0xff)]) {
      await redis.command('PUBLISH', worker.broker.markAddress, message);
    }
    await settle(worker);
    expect(worker.seen.marks).toEqual([]);
  });

  it('need rights: without them no order is known, and the broker serves all the same', async () => {
    const rules = 'on >password +@all ~* resetchannels &roost:channel:* &roost:control &roost:probe:*';
    await redis.command('ACL', 'SETUSER', 'farm', ...rules.split(' '));
    const worker = await start({ url: `redis://farm:password@127.0.0.1:${redis.port}` });
    const { broker } = worker;
    expect(broker.server).toBeUndefined();
    expect(worker.seen.warnings).toEqual([expect.stringContaining('no connection can move')]);
    const expected = { code: 'BROKER_REFUSED', message: expect.stringContaining('NOPERM') };
    await expect(broker.mark(broker.markAddress, 1)).rejects.toMatchObject(expected);
    await expect(broker.watchMarks('roost:mark:another')).rejects.toMatchObject(expected);
    expect(await worker.subscribe('news')).toBe('confirmed');
    await settle(worker);
  });
});
