import { redisCommand } from '../fixes.ts';
import type { RedisCheck } from './redis-check.ts';

export const redisRole: RedisCheck = {
  name: 'Redis role',
  judge({ redis: { problem, role, info }, user }) {
    if (problem !== '') return undefined;
    const host = info.get('master_host');
    const master = host === undefined ? 'redis://master:6379' : `redis://${host}:${info.get('master_port')}`;
    return {
      status: role === 'master' ? 'ok' : role === 'unknown' ? 'warn' : 'fail',
      found: role === 'unknown' ? 'it does not say' : role,
      needed: 'master',
      why:
        role === 'sentinel'
          ? 'A sentinel only knows where the master is.'
          : 'What is published to a replica reaches no other server, and a failover is noticed by the role.',
      fix: [
        role === 'sentinel'
          ? {
              line: 'ROOST_REDIS_URL=redis+sentinel://host:26379/master-name',
              where: 'asks it for the master',
            }
          : role === 'unknown'
            ? redisCommand(`ACL SETUSER ${user} +info`, 'and ACL SAVE, or in redis.conf, to last')
            : {
                line: `ROOST_REDIS_URL=${master}`,
                where: 'or a name that follows the master, or redis+sentinel://',
              },
      ],
    };
  },
};
