import { count } from '../units.ts';
import type { HostCheck } from './host-check.ts';

/** Node's own threads, V8's, and those of libuv's pool. */
const THREADS_PER_PROCESS = 16;

/** Undefined where nothing limits them. */
export const tasks: HostCheck = {
  name: 'processes and threads',
  judge({ wanted: { workers }, host }) {
    const limit = host.controlGroup.tasks;
    if (limit === undefined) return undefined;
    const needed = (workers + 1) * THREADS_PER_PROCESS;
    return {
      status: limit.max - limit.used >= needed ? 'ok' : 'fail',
      found: `${count(limit.max)}, of which ${count(limit.used)} are used`,
      needed: `${count(needed)} more`,
      why: 'Each worker is a process of about a dozen threads, and one that ends is replaced only if there is room for another.',
      fix: [
        { line: `pids_limit: ${limit.used + 2 * needed}`, where: 'in the service of a compose file' },
        { line: `TasksMax=${limit.used + 2 * needed}`, where: 'in the unit of systemd' },
      ],
    };
  },
};
