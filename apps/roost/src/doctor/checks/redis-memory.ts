import { redisCommand } from '../fixes.ts';
import { bytes } from '../units.ts';
import { notTold, ofServer } from './redis-check.ts';

const FULL = 0.8;

const WHY =
  'What Redis evicts is presence and last events, and with an evicted key members are lost; when it is full and may evict nothing it refuses them, and publications pass all the same.';

export const redisMemory = ofServer('Redis memory', ({ redis: { config, info } }) => {
  const needed = 'noeviction or volatile-…, and room';
  const policy = info.get('maxmemory_policy') ?? config?.get('maxmemory-policy');
  const max = Number(info.get('maxmemory') ?? config?.get('maxmemory') ?? Number.NaN);
  const used = Number(info.get('used_memory') ?? 0);
  if (policy === undefined || Number.isNaN(max)) return notTold('INFO', needed, WHY);
  const evicts = max > 0 && policy.startsWith('allkeys');
  const isFull = max > 0 && used > FULL * max;
  return {
    status: evicts || isFull ? 'warn' : 'ok',
    found: max === 0 ? `${bytes(used)}, no limit` : `${bytes(used)} of ${bytes(max)}, ${policy}`,
    needed,
    why: WHY,
    fix: [
      ...(evicts ? [redisCommand('CONFIG SET maxmemory-policy noeviction')] : []),
      ...(isFull ? [redisCommand(`CONFIG SET maxmemory ${2 * max}`)] : []),
    ],
  };
});
