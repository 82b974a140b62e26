import { BlockList, isIP } from 'node:net';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** Whether only programs of this machine can reach an address. */
export function isLoopback(address: string): boolean {
  return LOOPBACK.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

/**
 * Whether a request to a loopback address was meant for it, by its Host (RFC 9110 §7.2). A web page can have its own name
 * resolve to 127.0.0.1 (DNS rebinding), and its scripts may then read what is answered to that name.
 */
export function isLoopbackHost(host: string | undefined): boolean {
  const name = /^(?:\[([^\]]*)\]|([^:]*))(?::\d{1,5})?$/.exec(host ?? '');
  const [, v6, other = ''] = name ?? [];
  if (v6 !== undefined) return isIP(v6) === 6 && isLoopback(v6);
  return other.toLowerCase() === 'localhost' || (isIP(other) === 4 && isLoopback(other));
}

/** As it stands in a URL. */
export function hostInUrl(address: string): string {
  return isIP(address) === 6 ? `[${address}]` : address;
}
