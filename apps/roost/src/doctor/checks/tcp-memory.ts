import { sysctl } from '../fixes.ts';
import { bytes } from '../units.ts';
import type { HostCheck } from './host-check.ts';

/** Of the third number, that is for the moment when all are sent something at once. */
const FAIL_BELOW = 1 / 4;

/** net.ipv4.tcp_mem, in pages: fine, pressure, no more (tcp(7)). */
export const tcpMemory: HostCheck = {
  name: 'net.ipv4.tcp_mem',
  judge({ wanted: { connections }, host }) {
    const [, pressure, max] = host.sysctls.get('net.ipv4.tcp_mem') ?? [];
    if (pressure === undefined || max === undefined) return undefined;
    // A connection with anything on the way holds at least a page.
    const wanted = [Math.ceil(connections * 0.75), connections, Math.ceil(connections * 1.5)] as const;
    const inBytes = (pages: number): string => bytes(pages * host.pageBytes);
    const status = pressure >= wanted[1] ? 'ok' : max < connections * FAIL_BELOW ? 'fail' : 'warn';
    return {
      status,
      found: `pressure from ${inBytes(pressure)}, no more than ${inBytes(max)}`,
      needed: `${inBytes(wanted[1])} and ${inBytes(wanted[2])}`,
      why: 'A connection that has just been sent something holds a page until its client acknowledges it; under pressure windows shrink, and beyond the last number the kernel drops.',
      fix: [sysctl('net.ipv4.tcp_mem', ...wanted)],
    };
  },
};
