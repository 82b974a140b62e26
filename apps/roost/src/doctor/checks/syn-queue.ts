import { sysctlOfNetwork } from '../fixes.ts';
import { count } from '../units.ts';
import type { HostCheck } from './host-check.ts';
import { queueLength } from './queue-length.ts';

export const synQueue: HostCheck = {
  name: 'net.ipv4.tcp_max_syn_backlog',
  judge({ wanted, host }) {
    const [max] = host.sysctls.get('net.ipv4.tcp_max_syn_backlog') ?? [];
    if (max === undefined) return undefined;
    const needed = queueLength(wanted.connections);
    return {
      status: max >= needed ? 'ok' : 'warn',
      found: count(max),
      needed: count(needed),
      why: 'TCP handshakes that are not complete yet wait in it; beyond it the kernel sends SYN cookies, which lose options of TCP, or drops the client.',
      fix: sysctlOfNetwork('net.ipv4.tcp_max_syn_backlog', needed),
    };
  },
};
