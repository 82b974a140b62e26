import { bytes, count } from '../units.ts';
import type { HostCheck } from './host-check.ts';

/** Of an idle connection. "Sizing" in docs/guide/deploying.md says of what; the user's part is that of a cold farm. */
const KERNEL_BYTES = 3700;
const TRACKING_BYTES = 256;
const USER_BYTES = 250;
const TLS_BYTES = 20_500;
/** Of a worker and the master when they are empty, and a little for what they do. */
const PROCESS_BYTES = 32e6;
/** Queues of slow clients, and broadcasts. */
const COMFORT = 1.5;

export const memory: HostCheck = {
  name: 'memory',
  judge({ wanted, host }) {
    const { connections, workers, isTls } = wanted;
    const each =
      KERNEL_BYTES +
      USER_BYTES +
      (host.sysctls.has('net.netfilter.nf_conntrack_max') ? TRACKING_BYTES : 0) +
      (isTls ? TLS_BYTES : 0);
    const needed = connections * each + (workers + 1) * PROCESS_BYTES;
    const group = host.controlGroup.memory;
    const isOfGroup = group !== undefined && group.freeBytes < host.memory.availableBytes;
    const available = isOfGroup ? group.freeBytes : host.memory.availableBytes;
    const limit = isOfGroup ? ` of the ${bytes(group.limitBytes)} of the control group` : '';
    return {
      status: available < needed ? 'fail' : available < COMFORT * needed ? 'warn' : 'ok',
      found: `${bytes(available)} available${limit}`,
      needed: `${bytes(needed)}, better ${bytes(COMFORT * needed)}`,
      why: `An idle connection takes ${count(each)} bytes, most of them in the kernel${isTls ? ' and, with TLS, in OpenSSL' : ''}; queues of slow clients and broadcasts come on top.`,
      fix: isOfGroup
        ? [
            {
              line: `mem_limit: ${Math.ceil((COMFORT * needed) / 1e6)}m`,
              where: 'in the service of a compose file',
            },
            { line: `MemoryMax=${Math.ceil((COMFORT * needed) / 1e6)}M`, where: 'in the unit of systemd' },
          ]
        : [
            {
              line: `a host with ${bytes(COMFORT * needed)} to spare`,
              where: 'or fewer connections on this one',
            },
          ],
    };
  },
};
