import { option, sysctlOfNetwork } from '../fixes.ts';
import { count } from '../units.ts';
import type { HostCheck } from './host-check.ts';
import { queueLength } from './queue-length.ts';

/** The shorter of the two that bound it (listen(2)). */
export const acceptQueue: HostCheck = {
  name: 'accept queue',
  judge({ wanted: { connections, backlog }, host }) {
    const [somaxconn] = host.sysctls.get('net.core.somaxconn') ?? [];
    if (somaxconn === undefined) return undefined;
    const needed = queueLength(connections);
    return {
      status: Math.min(somaxconn, backlog) >= needed ? 'ok' : 'warn',
      found: `${count(Math.min(somaxconn, backlog))} (net.core.somaxconn ${count(somaxconn)}, backlog ${count(backlog)})`,
      needed: count(needed),
      why: 'Clients that come back all at once wait in it until the master accepts them; those that find it full try again after 1 s, 3 s, 7 s.',
      fix: [
        ...(somaxconn < needed ? sysctlOfNetwork('net.core.somaxconn', needed) : []),
        ...(backlog < needed ? [option('backlog', needed)] : []),
      ],
    };
  },
};
