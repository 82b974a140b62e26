import { sysctl } from '../fixes.ts';
import { count } from '../units.ts';
import type { HostCheck } from './host-check.ts';

/** Only where it is loaded: a firewall that looks at states, or a published port of a container, does that. */
export const connectionTracking: HostCheck = {
  name: 'connection tracking',
  judge({ wanted: { connections }, host }) {
    const [max] = host.sysctls.get('net.netfilter.nf_conntrack_max') ?? [];
    const [used = 0] = host.sysctls.get('net.netfilter.nf_conntrack_count') ?? [];
    if (max === undefined) return undefined;
    const needed = 2 * connections;
    return {
      status: max >= needed ? 'ok' : max - used >= connections ? 'warn' : 'fail',
      found: `${count(max)} entries, of which ${count(used)} are used`,
      needed: count(needed),
      why: 'Each connection takes an entry, and closed ones keep theirs for a while; when none is left packets are dropped, and clients hang without an error on either side.',
      fix: [
        sysctl('net.netfilter.nf_conntrack_max', needed),
        {
          line: 'network_mode: host',
          where: 'in the service of a compose file, instead: then no port is published',
        },
      ],
    };
  },
};
