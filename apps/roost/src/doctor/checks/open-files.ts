import { count } from '../units.ts';
import type { HostCheck } from './host-check.ts';

/** RLIMIT_NOFILE (getrlimit(2)). Node raises the soft limit to the hard one by itself. */
export const openFiles: HostCheck = {
  name: 'open files of a process',
  judge({ wanted: { descriptors }, host }) {
    const { soft, hard } = host.openFiles;
    const needed = Math.max(descriptors.worker, descriptors.master);
    return {
      status: hard >= needed ? 'ok' : 'fail',
      found: soft === hard ? count(hard) : `${count(soft)}, at most ${count(hard)}`,
      needed: count(needed),
      why: 'Each connection is a descriptor of its worker, which keeps some more for other things; beyond them clients are refused.',
      fix: [
        { line: `LimitNOFILE=${needed}`, where: 'in the unit of systemd' },
        { line: `ulimits: { nofile: ${needed} }`, where: 'in the service of a compose file' },
        { line: `ulimit -n ${needed}`, where: 'in a shell, as root, before the start' },
      ],
    };
  },
};
