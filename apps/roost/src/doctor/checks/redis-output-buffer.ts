import { redisCommand } from '../fixes.ts';
import { mebibytes } from '../units.ts';
import { notTold, ofServer } from './redis-check.ts';

const LEAST_BYTES = 64 * 1024 * 1024;
/** As infra/redis.conf has it. */
const GENEROUS = 'pubsub 256mb 64mb 60';

const WHY =
  'Redis ends a subscriber for which more waits; a worker that pauses while much is published reaches the default in moments, and misses what is published until it is back.';

export const redisOutputBuffer = ofServer('Redis output buffer', ({ redis: { config } }) => {
  const needed = `${mebibytes(LEAST_BYTES)} or more, 0 for no limit`;
  const limits = config?.get('client-output-buffer-limit');
  const [, hard, soft, seconds] = /pubsub (\d+) (\d+) (\d+)/.exec(limits ?? '') ?? [];
  if (hard === undefined) return notTold('CONFIG', needed, WHY);
  return {
    status: hard === '0' || Number(hard) >= LEAST_BYTES ? 'ok' : 'warn',
    found: `${shown(hard)} for a subscriber${soft === '0' ? '' : `, or ${shown(soft)} for ${seconds} s`}`,
    needed,
    why: WHY,
    fix: [redisCommand(`CONFIG SET client-output-buffer-limit "${GENEROUS}"`)],
  };
});

function shown(limit: string | undefined): string {
  return limit === '0' ? 'no limit' : mebibytes(Number(limit));
}
