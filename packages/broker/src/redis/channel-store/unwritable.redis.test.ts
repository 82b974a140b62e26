import { eventually, redisIsInstalled, startRedis, type RedisFixture } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { StoreWorker } from '../../channel-store.contract.ts';
import { start } from '../fixtures/broker-harness.ts';

const MINUTE_MS = 60_000;

describe.skipIf(!redisIsInstalled())('a Redis that is out of memory (skipped without redis-server)', () => {
  let redis: RedisFixture;

  beforeEach(async () => {
    redis = await startRedis();
  });

  afterEach(async () => {
    vi.restoreAllMocks();
    await redis.stop();
  });

  async function startWorker(): Promise<StoreWorker> {
    const { broker, seen } = await start({ url: redis.url });
    return new StoreWorker(broker, seen);
  }

  it('refuses joins and is told of once a minute, carries publications, and catches up when it has memory', async () => {
    const [one, other] = [await startWorker(), await startWorker()];
    for (const worker of [one, other]) await worker.subscribe('room');
    await one.join('room', 'ada');
    await other.join('room', 'bob');
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');

    const refused = { code: 'BROKER_REFUSED', message: expect.stringContaining('OOM') };
    await expect(one.join('room', 'eve')).rejects.toMatchObject(refused);
    await expect(one.join('room', 'eve')).rejects.toMatchObject(refused);
    expect(one.seen.warnings).toEqual([
      expect.stringMatching(
        /^Presence, .* stand still, .*: Redis at redis:\S+ stores nothing \(OOM command not allowed when used memory > 'maxmemory'/,
      ),
    ]);
    await one.broker.publish('room', Buffer.from('hello'));
    await eventually(() => expect(other.seen.texts('room').at(-1)).toBe('hello'));
    one.store.leave('room', 'ada');

    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + MINUTE_MS + 1);
    await eventually(() => expect(one.seen.warnings).toHaveLength(2), {
      what: 'a minute later it is told again',
    });

    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    await eventually(() => expect(other.changes('room').at(-1)).toBe('-ada'));
    await one.join('room', 'eve');
    expect(await other.users('room')).toEqual(['bob', 'eve']);
  });
});
