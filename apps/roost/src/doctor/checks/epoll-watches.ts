import { sysctl } from '../fixes.ts';
import { count } from '../units.ts';
import type { HostCheck } from './host-check.ts';

/** Of listeners, links, Redis, and of other programs of the same user. */
const RESERVE = 4096;

/** epoll(7): a limit for each user, by default four percent of the memory. */
export const epollWatches: HostCheck = {
  name: 'fs.epoll.max_user_watches',
  judge({ wanted, host }) {
    const [max] = host.sysctls.get('fs.epoll.max_user_watches') ?? [];
    if (max === undefined) return undefined;
    const needed = wanted.connections + RESERVE;
    return {
      status: max >= needed ? 'ok' : 'fail',
      found: count(max),
      needed: count(needed),
      why: 'Each connection is watched by epoll; beyond this the connection is ended.',
      fix: [sysctl('fs.epoll.max_user_watches', needed)],
    };
  },
};
