export { allowedCpus } from '../master/workers/cpus.ts';
export { checkListen } from './check-listen.ts';
export { checkOptions } from './check-options.ts';
export { descriptorNeeds } from '../options/descriptor-limit.ts';
export { inspectRedis } from './inspect-redis.ts';
export type { RedisInspection } from './inspect-redis.ts';
export { peerUserOf } from './peer-user.ts';
