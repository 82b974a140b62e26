export { RedisBroker } from './redis-broker.ts';
export type { RedisBrokerCounters } from './redis-broker.ts';
export type { RedisBrokerOptions } from './options.ts';
