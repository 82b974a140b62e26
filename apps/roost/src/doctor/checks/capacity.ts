import { option } from '../fixes.ts';
import { count } from '../units.ts';
import type { HostCheck } from './host-check.ts';

/** Whether the configuration lets so many in at all. */
export const capacity: HostCheck = {
  name: 'configured limits',
  judge({ wanted }) {
    const { connections, workers, maxConnections, maxConnectionsPerWorker } = wanted;
    const fits = Math.min(maxConnections, workers * maxConnectionsPerWorker);
    const each = Math.ceil(connections / workers);
    return {
      status: fits >= connections ? 'ok' : 'fail',
      found: `${count(fits)} connections`,
      needed: count(connections),
      why: 'Beyond maxConnections, and beyond maxConnectionsPerWorker in each worker, clients are refused with 503.',
      fix: [
        ...(maxConnections < connections ? [option('maxConnections', connections)] : []),
        ...(maxConnectionsPerWorker < each ? [option('maxConnectionsPerWorker', each)] : []),
      ],
    };
  },
};
