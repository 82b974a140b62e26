import type { InspectRedisOptions, RedisInspection } from '@roost/broker/redis';

/** See the broker's own. Loads the client of Redis, which nothing else needs. */
export async function inspectRedis(options: InspectRedisOptions): Promise<RedisInspection> {
  const broker = await import('@roost/broker/redis');
  return broker.inspectRedis(options);
}

export type { RedisInspection };
