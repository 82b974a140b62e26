import { sysctl } from '../fixes.ts';
import { count } from '../units.ts';
import type { HostCheck } from './host-check.ts';

export const openFilesCeiling: HostCheck = {
  name: 'fs.nr_open',
  judge({ wanted: { descriptors }, host }) {
    const [ceiling] = host.sysctls.get('fs.nr_open') ?? [];
    if (ceiling === undefined) return undefined;
    const needed = Math.max(descriptors.worker, descriptors.master);
    return {
      status: ceiling >= needed ? 'ok' : 'fail',
      found: count(ceiling),
      needed: count(needed),
      why: 'No process can be allowed to open more files than this.',
      fix: [sysctl('fs.nr_open', needed)],
    };
  },
};
