import { sysctlOfNetwork } from '../fixes.ts';
import { count } from '../units.ts';
import type { HostCheck } from './host-check.ts';

/** As infra/sysctl.conf has it: above the ports that are listened on. */
const WIDEST = [10_240, 65_535] as const;
const WIDEST_COUNT = WIDEST[1] - WIDEST[0] + 1;

export const localPorts: HostCheck = {
  name: 'local ports',
  judge({ wanted: { connections, hasLocalProxy }, host }) {
    const [low, high] = host.sysctls.get('net.ipv4.ip_local_port_range') ?? [];
    if (low === undefined || high === undefined) return undefined;
    const ports = high - low + 1;
    const found = `${count(ports)} (${low} to ${high})`;
    const why =
      'Each connection of a proxy or a load generator on this host to one address and port of Roost takes one; clients of other hosts take none.';
    if (!hasLocalProxy) return { status: 'ok', found, needed: '', why, fix: [] };
    const isBehindAddresses = connections > WIDEST_COUNT;
    return {
      status: ports >= connections ? 'ok' : 'warn',
      found,
      needed: `${count(connections)}, since a proxy of this host is trusted`,
      why,
      fix: [
        ...(ports < WIDEST_COUNT ? sysctlOfNetwork('net.ipv4.ip_local_port_range', ...WIDEST) : []),
        ...(isBehindAddresses
          ? [
              {
                line: `${Math.ceil(connections / WIDEST_COUNT)} source addresses`,
                where: 'for the proxy (HAProxy: source, nginx: proxy_bind), or so many ports of Roost',
              },
            ]
          : []),
      ],
    };
  },
};
