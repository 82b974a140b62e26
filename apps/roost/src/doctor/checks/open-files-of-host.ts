import { sysctl } from '../fixes.ts';
import { count } from '../units.ts';
import type { HostCheck } from './host-check.ts';

/** What processes open besides connections: modules, pipes, epoll; and what others of the host will. */
const RESERVE = 4096;
const RESERVE_PER_WORKER = 256;

/** fs.file-max, by the file that says how many are open, too (proc_sys_fs(5)). */
export const openFilesOfHost: HostCheck = {
  name: 'fs.file-max',
  judge({ wanted, host }) {
    const [used, , max] = host.sysctls.get('fs.file-nr') ?? [];
    if (used === undefined || max === undefined) return undefined;
    const needed = used + wanted.connections + wanted.workers * RESERVE_PER_WORKER + RESERVE;
    return {
      status: max >= needed ? 'ok' : 'fail',
      found: `${count(max)}, of which ${count(used)} are open`,
      needed: count(needed),
      why: 'Each connection is an open file of the host; beyond them nothing on the host can open one.',
      fix: [sysctl('fs.file-max', needed)],
    };
  },
};
