import { redisCommand } from '../fixes.ts';
import { ofServer } from './redis-check.ts';

/** Whoever reaches it from this host only is of this host. */
const LOCAL = /^(?:rediss?:\/\/(?:127\.|localhost\b|\[::1\])|unix:|\/)/;

export const redisPassword = ofServer('Redis password', ({ redis: { password, shownUrl } }) => {
  const isOpen = password === 'not wanted' || (password === 'none' && !LOCAL.test(shownUrl));
  return {
    status: isOpen ? 'warn' : 'ok',
    found:
      password === 'taken'
        ? 'it is wanted'
        : password === 'none'
          ? 'none'
          : 'not wanted, although the URL has one',
    needed: LOCAL.test(shownUrl) ? '' : 'one, or a network that only Roost and its publishers reach',
    why: 'Whoever can reach Redis without a password can publish to all clients.',
    fix: [
      redisCommand("ACL SETUSER default '>a-long-secret'"),
      redisCommand('requirepass a-long-secret', 'in redis.conf'),
    ],
  };
});
