import { sysctl } from '../fixes.ts';
import type { HostCheck } from './host-check.ts';

const MODES = ['heuristic', 'always', 'never'];
const NEVER = 2;

/** vm.overcommit_memory (proc_sys_vm(5)). */
export const overcommit: HostCheck = {
  name: 'vm.overcommit_memory',
  judge({ host }) {
    const [mode] = host.sysctls.get('vm.overcommit_memory') ?? [];
    if (mode === undefined) return undefined;
    return {
      status: mode === NEVER ? 'warn' : 'ok',
      found: `${mode} (${MODES[mode] ?? 'unknown'})`,
      needed: '0 or 1',
      why: 'With 2 the kernel counts memory that is only reserved: workers cannot be forked, and heaps cannot grow, although most of the memory is free.',
      fix: [sysctl('vm.overcommit_memory', 0)],
    };
  },
};
