import { sysctlOfNetwork } from '../fixes.ts';
import type { Sysctl } from '../facts/host-facts.ts';
import { bytes, count } from '../units.ts';
import type { Wanted } from '../wanted.ts';
import type { HostCheck } from './host-check.ts';

/** One in so many connections may fill its buffer: a client that sends while its worker is busy, or does not acknowledge. */
const FULL_OF = 1000;
/** As infra/sysctl.conf has it: least, initial, greatest. */
const MODEST = [4096, 16_384, 1024 * 1024] as const;

interface Buffers {
  readonly name: Extract<Sysctl, `net.ipv4.tcp_${'r' | 'w'}mem`>;
  /** What a client does that fills them, in words that can follow "by". */
  readonly filledBy: string;
  /** What an option of the farm allows instead, in bytes; 0 for nothing. */
  readonly ownLimit: (wanted: Wanted) => number;
}

/** The buffers of single connections (tcp(7)), against the memory of all. */
function tcpBuffers({ name, filledBy, ownLimit }: Buffers): HostCheck {
  return {
    name,
    judge({ wanted, host }) {
      const [, , greatest] = host.sysctls.get(name) ?? [];
      const [, , maxPages] = host.sysctls.get('net.ipv4.tcp_mem') ?? [];
      if (greatest === undefined || maxPages === undefined) return undefined;
      const own = ownLimit(wanted);
      const each = own === 0 ? greatest : own;
      const full = Math.ceil(wanted.connections / FULL_OF);
      const room = (maxPages * host.pageBytes) / 2;
      return {
        status: full * each <= room || each <= MODEST[2] ? 'ok' : 'warn',
        found: `at most ${bytes(each)} a connection${own === 0 ? '' : ', by tcpSendBufferBytes'}`,
        needed: `${bytes(Math.max(MODEST[2], room / full))} or less`,
        why: `It bounds what a client can make the kernel hold by ${filledBy}: ${count(full)} such clients, one in ${FULL_OF}, should not take half of net.ipv4.tcp_mem.`,
        fix: sysctlOfNetwork(name, ...MODEST),
      };
    },
  };
}

export const receiveBuffers = tcpBuffers({
  name: 'net.ipv4.tcp_rmem',
  filledBy: 'sending while its worker is busy',
  ownLimit: () => 0,
});

export const sendBuffers = tcpBuffers({
  name: 'net.ipv4.tcp_wmem',
  filledBy: 'acknowledging nothing',
  // With its overhead the kernel uses up to twice as much.
  ownLimit: ({ tcpSendBufferBytes }) => 2 * tcpSendBufferBytes,
});
