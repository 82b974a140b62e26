import { redisCli } from '../fixes.ts';
import { milliseconds } from '../units.ts';
import { ofServer } from './redis-check.ts';

const NOTABLE_MS = 5;
const FAR_MS = 100;

export const redisLatency = ofServer('Redis latency', ({ redis: { pingMs, shownUrl } }) => {
  const median = pingMs[Math.floor(pingMs.length / 2)];
  const longest = pingMs.at(-1);
  if (median === undefined || longest === undefined) return undefined;
  return {
    status: median > FAR_MS ? 'fail' : median > NOTABLE_MS ? 'warn' : 'ok',
    found: `${milliseconds(median)}, the longest of ${pingMs.length} ${milliseconds(longest)}`,
    needed: `${NOTABLE_MS} ms or less`,
    why: 'Each publication, and each client that joins a channel, waits for an answer of Redis.',
    fix: [
      {
        line: redisCli(shownUrl, '--latency'),
        where: 'measures it; a Redis of the same zone, and no proxy between',
      },
    ],
  };
});
