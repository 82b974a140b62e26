import type { Fix } from '../finding.ts';
import { portIsTaken } from '../fixes.ts';
import type { ProbeCheck } from './probe-check.ts';

const WHY = 'A farm that cannot listen does not start.';

export const listening: ProbeCheck = {
  name: 'port',
  judge({ host, port, probes: { listen, isRoostThere, pollerProblem } }) {
    const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    // Nothing was tried.
    if (pollerProblem !== undefined) return undefined;
    if (listen === undefined)
      return { status: 'ok', found: `${where} is free`, needed: '', why: WHY, fix: [] };
    if (isRoostThere) {
      return { status: 'ok', found: `a Roost answers on ${where}`, needed: '', why: WHY, fix: [] };
    }
    return {
      status: 'fail',
      found: listen.reason.replace(/\.$/, ''),
      needed: `${where}, free`,
      why: WHY,
      fix: fixOf(listen.code, port),
    };
  },
};

function fixOf(code: string, port: number): Fix[] {
  if (code === 'FARM_ERR_PORT_IN_USE') return portIsTaken(port, '--port');
  return port < 1024
    ? [
        { line: 'AmbientCapabilities=CAP_NET_BIND_SERVICE', where: 'in the unit of systemd' },
        {
          line: `sysctl -w net.ipv4.ip_unprivileged_port_start=${port}`,
          where: 'for every user of the host',
        },
      ]
    : [{ line: 'ip -brief address', where: 'lists the addresses of this host; choose one with --host' }];
}
