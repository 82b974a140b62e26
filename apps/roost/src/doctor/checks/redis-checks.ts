import type { RedisCheck } from './redis-check.ts';
import { redisClients } from './redis-clients.ts';
import { redisLatency } from './redis-latency.ts';
import { redisMemory } from './redis-memory.ts';
import { redisOutputBuffer } from './redis-output-buffer.ts';
import { redisPassword } from './redis-password.ts';
import { redisPersistence } from './redis-persistence.ts';
import { redisReached } from './redis-reached.ts';
import { redisRights } from './redis-rights.ts';
import { redisRole } from './redis-role.ts';
import { redisVersion } from './redis-version.ts';

export const REDIS_CHECKS: readonly RedisCheck[] = [
  redisReached,
  redisVersion,
  redisRole,
  redisPassword,
  redisRights,
  redisOutputBuffer,
  redisClients,
  redisMemory,
  redisLatency,
  redisPersistence,
];
