import { isIPv4, isIPv6 } from 'node:net';

/** Bytes of an address: IPv6, with IPv4 mapped into `::ffff:0:0/96` (RFC 4291 §2.5.5.2). */
export const ADDRESS_BYTES = 16;
/** Bits before the IPv4 address in a mapped one. */
export const MAPPED_PREFIX_BITS = 96;

/** The 16 bytes of a numeric IPv4 or IPv6 address, or undefined of anything else: names, ports, brackets, zones. */
export function parseAddress(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(ADDRESS_BYTES);
  if (isIPv4(text)) {
    bytes.fill(0xff, 10, 12);
    writeIPv4(text, bytes, 12);
    return bytes;
  }
  // A zone (fe80::1%eth0) means something on its own host only.
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const gap = text.indexOf('::');
  if (gap === -1) {
    writeGroups(text, bytes, 0);
  } else {
    writeGroups(text.slice(0, gap), bytes, 0);
    const tail = text.slice(gap + 2);
    writeGroups(tail, bytes, ADDRESS_BYTES - groupBytes(tail));
  }
  return bytes;
}

/** Whether the 16 bytes at `offset` are a mapped IPv4 address. */
export function isMappedIPv4(bytes: Uint8Array, offset: number): boolean {
  if (bytes[offset + 10] !== 0xff || bytes[offset + 11] !== 0xff) return false;
  for (let at = offset; at < offset + 10; at++) if (bytes[at] !== 0) return false;
  return true;
}

/** 16 bytes of IPv6 in their usual form; IPv4-mapped ones as IPv4. */
export function formatAddress(bytes: Uint8Array): string {
  if (isMappedIPv4(bytes, 0)) return `${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const groups = Array.from({ length: 8 }, (_, index) => view.getUint16(index * 2).toString(16));
  // The URL parser writes the canonical form of RFC 5952, with the longest run of zeros as ::.
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

/** Bytes that groups without a gap stand for; the last one may be an IPv4 address. */
function groupBytes(groups: string): number {
  if (groups === '') return 0;
  return groups.split(':').length * 2 + (groups.includes('.') ? 2 : 0);
}

function writeGroups(groups: string, bytes: Uint8Array, start: number): void {
  if (groups === '') return;
  let at = start;
  for (const group of groups.split(':')) {
    if (group.includes('.')) {
      writeIPv4(group, bytes, at);
      return;
    }
    const value = Number.parseInt(group, 16);
    bytes[at++] = value >> 8;
    bytes[at++] = value & 0xff;
  }
}

function writeIPv4(text: string, bytes: Uint8Array, start: number): void {
  let at = start;
  for (const part of text.split('.')) bytes[at++] = Number(part);
}
