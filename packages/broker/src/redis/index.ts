export { RedisBroker } from './redis-broker.ts';
export type { RedisBrokerCounters } from './counters.ts';
export type { RedisBrokerOptions } from './options.ts';
export { RedisEvents } from './channel-store/redis-events.ts';
export type { RedisEventsOptions } from './channel-store/redis-events.ts';
export { inspectRedis } from './inspection/inspect-redis.ts';
export type { InspectRedisOptions } from './inspection/inspect-redis.ts';
export type { RedisInspection, TriedRight } from './inspection/redis-inspection.ts';
