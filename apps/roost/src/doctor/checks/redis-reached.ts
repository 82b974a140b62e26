import { redisCli } from '../fixes.ts';
import type { RedisCheck } from './redis-check.ts';

export const redisReached: RedisCheck = {
  name: 'Redis',
  judge({ redis: { problem, shownUrl } }) {
    const isAboutCredentials = /credentials/.test(problem);
    return {
      status: problem === '' ? 'ok' : 'fail',
      found: problem === '' ? `${shownUrl} answers` : problem.replace(/\.$/, ''),
      needed: 'an answer to the credentials of the URL',
      why: 'While Redis is away nothing that is published arrives, and the farm is not ready.',
      fix: [
        isAboutCredentials
          ? {
              line: 'ROOST_REDIS_URL=redis://user:password@host:6379',
              where: 'with user and password percent-encoded',
            }
          : { line: redisCli(shownUrl, 'ping'), where: 'from this host, until it says PONG or NOAUTH' },
      ],
    };
  },
};
