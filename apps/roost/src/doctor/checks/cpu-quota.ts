import { option } from '../fixes.ts';
import type { HostCheck } from './host-check.ts';

/** Undefined without one. */
export const cpuQuota: HostCheck = {
  name: 'CPU quota',
  judge({ wanted: { workers }, host }) {
    const { cpuQuota: quota } = host.controlGroup;
    if (quota === undefined) return undefined;
    return {
      status: quota < workers ? 'warn' : 'ok',
      found: `${quota.toFixed(1)} CPUs for ${workers} workers`,
      needed: `none, or ${workers} and more`,
      why: 'When a quota is used up all workers stop at once, for up to 100 ms, in the middle of what they do.',
      fix: [
        { line: `cpuset: '0-${workers - 1}'`, where: 'in the service of a compose file, instead of cpus' },
        option('workers', Math.max(1, Math.floor(quota))),
      ],
    };
  },
};
