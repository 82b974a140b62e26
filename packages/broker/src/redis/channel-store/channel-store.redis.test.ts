import { redisIsInstalled, startRedis, TcpProxy, type RedisFixture } from '@roost/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe } from 'vitest';
import type { Broker } from '../../broker.ts';
import { describeChannelStoreContract } from '../../channel-store.contract.ts';
import { RedisBroker } from '../redis-broker.ts';
import { RedisEvents } from './redis-events.ts';

describe.skipIf(!redisIsInstalled())('the store in Redis (skipped without redis-server)', () => {
  let redis: RedisFixture;
  /** What is between a broker and Redis, to be cut. */
  let proxies: Map<Broker, TcpProxy>;

  beforeAll(async () => {
    redis = await startRedis();
  });

  afterAll(() => redis.stop());

  beforeEach(async () => {
    await redis.command('FLUSHALL');
    proxies = new Map();
  });

  afterEach(async () => {
    for (const proxy of proxies.values()) await proxy.stop();
  });

  describeChannelStoreContract({
    create: async (seen, options) => {
      const proxy = await TcpProxy.start(redis.port);
      const broker = new RedisBroker({
        handlers: seen,
        wanted: seen.wanted,
        url: `redis://127.0.0.1:${proxy.port}`,
        channelStore: { ...options, leaseMs: 1_500 },
      });
      proxies.set(broker, proxy);
      return broker;
    },
    end: (broker) => broker.stop(),
    kill: async (broker) => {
      await proxies.get(broker)?.stop();
      await broker.stop();
    },
    consume: () => new RedisEvents({ url: redis.url, onWarning: () => undefined }),
  });
});
