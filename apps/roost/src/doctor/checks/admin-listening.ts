import { portIsTaken } from '../fixes.ts';
import type { ProbeCheck } from './probe-check.ts';

const ASKED_FOR = 'A farm that cannot open the admin port that it is given does not start.';
const DEFAULT = 'A farm whose admin port nobody has chosen starts without it when the port is in use.';

export const adminListening: ProbeCheck = {
  name: 'admin port',
  judge({ admin, isAdminPortAskedFor }) {
    // It is off.
    if (admin === undefined) return undefined;
    const { host, port, problem, isRoostThere } = admin;
    const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    const why = isAdminPortAskedFor ? ASKED_FOR : DEFAULT;
    if (problem === undefined) return { status: 'ok', found: `${where} is free`, needed: '', why, fix: [] };
    if (isRoostThere) {
      return { status: 'ok', found: `a Roost answers on ${where}`, needed: '', why, fix: [] };
    }
    const isTaken = problem === 'EADDRINUSE';
    return {
      status: isTaken && !isAdminPortAskedFor ? 'warn' : 'fail',
      found: isTaken ? `${where} is in use` : `cannot listen on ${where}: ${problem}`,
      needed: `${where}, free`,
      why,
      fix: isTaken
        ? portIsTaken(port, '--admin-port')
        : [
            {
              line: 'ip -brief address',
              where: 'lists the addresses of this host; choose one with --admin-host',
            },
          ],
    };
  },
};
