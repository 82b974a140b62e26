import { option } from '../fixes.ts';
import { count } from '../units.ts';
import type { HostCheck } from './host-check.ts';

export const cpus: HostCheck = {
  name: 'CPUs',
  judge({ wanted: { workers }, host }) {
    const { length } = host.cpus;
    return {
      status: workers > length ? 'warn' : 'ok',
      found: `${count(length)} for ${count(workers)} workers`,
      needed: 'one for each worker',
      why: 'Each worker is pinned to a CPU; those that share one wait for each other in every broadcast.',
      fix: [
        option('workers', length),
        { line: `cpuset: '0-${workers - 1}'`, where: 'in the service of a compose file' },
      ],
    };
  },
};
