import { redisIsInstalled, startRedis, TcpProxy, type RedisFixture } from '@roost/testing';
import { afterAll, beforeAll, describe } from 'vitest';
import type { Side } from './fixtures/move-rig.ts';
import { describeMembers } from './members.contract.ts';

describe.skipIf(!redisIsInstalled())('members of a channel on Redis (skipped without redis-server)', () => {
  let redis: RedisFixture;
  /** What is between a worker and Redis, to be cut, so that its lease is not given back. */
  let proxies: Readonly<Record<Side, TcpProxy>>;

  beforeAll(async () => {
    redis = await startRedis();
  });

  afterAll(() => redis.stop());

  describeMembers({
    optionsOf: async () => {
      await redis.command('FLUSHALL');
      proxies = { source: await TcpProxy.start(redis.port), target: await TcpProxy.start(redis.port) };
      const urlOf = (side: Side): string => `redis://127.0.0.1:${proxies[side].port}`;
      return [{ redisUrl: urlOf('source'), presenceLeaseMs: 1500 }, { redisUrl: urlOf('target') }];
    },
    cut: (side) => proxies[side].stop(),
    removed: (by) => by.counts('store_owners_reaped', 1),
    end: async () => {
      for (const proxy of Object.values(proxies)) await proxy.stop();
    },
  });
});
