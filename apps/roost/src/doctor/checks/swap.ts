import { sysctl } from '../fixes.ts';
import { bytes } from '../units.ts';
import type { HostCheck } from './host-check.ts';

/** Less than this is what every host has put aside at some time. */
const NOTABLE_BYTES = 256e6;

export const swap: HostCheck = {
  name: 'swap',
  judge({ host }) {
    const { swapTotalBytes, swapFreeBytes } = host.memory;
    const used = swapTotalBytes - swapFreeBytes;
    return {
      status: used > NOTABLE_BYTES ? 'warn' : 'ok',
      found: swapTotalBytes === 0 ? 'none' : `${bytes(used)} of ${bytes(swapTotalBytes)} are used`,
      needed: 'none in use',
      why: 'A worker that waits for a page from a disk serves none of its clients meanwhile, and idle connections are the first to be put there.',
      fix: [
        sysctl('vm.swappiness', 1),
        { line: 'swapoff -a && swapon -a', where: 'when there is memory for it' },
      ],
    };
  },
};
