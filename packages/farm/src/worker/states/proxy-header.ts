import { ADDRESS_BYTES, parseAddress } from '../../addresses/address.ts';

/** What stands at the front of a connection's bytes. */
export type ProxyHeaderResult =
  /** It may become a header; it is worth another look when there are so many bytes. */
  | { readonly kind: 'incomplete'; readonly requiredBytes: number }
  /** No header: the client's own bytes. */
  | { readonly kind: 'absent' }
  /** It begins as a header does, and cannot become a good one. */
  | { readonly kind: 'malformed' }
  /** `address`: 16 bytes of the client's; undefined where the peer's own counts (LOCAL, UNKNOWN, other families). */
  | { readonly kind: 'complete'; readonly headerBytes: number; readonly address: Uint8Array | undefined };

/** `PROXY `. */
const V1_SIGNATURE = Buffer.from('PROXY ', 'latin1');
/** With the CR LF at its end. */
const V1_MAX_BYTES = 107;
const V2_SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
/** Signature, version and command, family and transport, length. */
const V2_FIXED_BYTES = 16;

/** Low half of byte 13 of version 2. */
const V2_COMMAND_LOCAL = 0;
const V2_COMMAND_PROXY = 1;
/** High half of byte 14: bytes that the family's two addresses and ports take. */
const V2_ADDRESS_BYTES = [0, 12, 36, 216];
const V2_FAMILY_INET = 1;
const V2_FAMILY_INET6 = 2;
const V2_TRANSPORT_STREAM = 1;
const V2_LAST_TRANSPORT = 2;

const MAX_PORT = 65_535;
const LF = 0x0a;

const ABSENT: ProxyHeaderResult = Object.freeze({ kind: 'absent' });
const MALFORMED: ProxyHeaderResult = Object.freeze({ kind: 'malformed' });

/**
 * Reads the header of the PROXY protocol, version 1 or 2, that begins at `start`
 * (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt), of at most `maxBytes`; version 1 has its own bound of
 * 107. Of version 2, addresses beside TCP's count as UNSPEC, and what follows the addresses (TLVs) is skipped. The
 * destination is checked and forgotten.
 *
 *     PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n
 *     0d0a0d0a000d0a515549540a 21 11 000c c0000201 c6336407 dc04 01bb
 */
export function readProxyHeader(
  bytes: Buffer,
  start: number,
  end: number,
  maxBytes: number,
): ProxyHeaderResult {
  const first = bytes[start];
  if (first === V1_SIGNATURE[0]) return readV1(bytes, start, end);
  if (first === V2_SIGNATURE[0]) return readV2(bytes, start, end, maxBytes);
  return start === end ? incomplete(V1_SIGNATURE.length) : ABSENT;
}

function incomplete(requiredBytes: number): ProxyHeaderResult {
  return { kind: 'incomplete', requiredBytes };
}

/** Whether what has arrived of the signature is right. */
function beginsWith(signature: Buffer, bytes: Buffer, start: number, end: number): boolean {
  const limit = Math.min(signature.length, end - start);
  for (let index = 0; index < limit; index++) {
    if (bytes[start + index] !== signature[index]) return false;
  }
  return true;
}

function readV1(bytes: Buffer, start: number, end: number): ProxyHeaderResult {
  if (!beginsWith(V1_SIGNATURE, bytes, start, end)) return ABSENT;
  const available = end - start;
  // One byte at a time until it is clear what this is: a request that begins with P must not wait.
  if (available < V1_SIGNATURE.length) return incomplete(available + 1);
  const limit = Math.min(end, start + V1_MAX_BYTES);
  let lineEnd = start + V1_SIGNATURE.length;
  while (lineEnd < limit && bytes[lineEnd] !== LF) lineEnd++;
  if (lineEnd === limit) return available >= V1_MAX_BYTES ? MALFORMED : incomplete(available + 1);
  const line = bytes.toString('latin1', start, lineEnd + 1);
  const headerBytes = lineEnd + 1 - start;
  // What follows UNKNOWN must be ignored.
  if (/^PROXY UNKNOWN(?: [^\r\n]*)?\r\n$/.test(line)) {
    return { kind: 'complete', headerBytes, address: undefined };
  }
  const match = /^PROXY TCP([46]) (\S+) (\S+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})\r\n$/.exec(line);
  if (match === null) return MALFORMED;
  const [, family, source = '', destination = '', sourcePort, destinationPort] = match;
  const isFamily = (text: string): boolean => text.includes(':') === (family === '6');
  const address = isFamily(source) ? parseAddress(source) : undefined;
  const isSound =
    address !== undefined &&
    isFamily(destination) &&
    parseAddress(destination) !== undefined &&
    Number(sourcePort) <= MAX_PORT &&
    Number(destinationPort) <= MAX_PORT;
  return isSound ? { kind: 'complete', headerBytes, address } : MALFORMED;
}

function readV2(bytes: Buffer, start: number, end: number, maxBytes: number): ProxyHeaderResult {
  if (!beginsWith(V2_SIGNATURE, bytes, start, end)) return ABSENT;
  const available = end - start;
  if (available < V2_SIGNATURE.length) return incomplete(available + 1);
  if (available < V2_FIXED_BYTES) return incomplete(V2_FIXED_BYTES);
  const versionAndCommand = bytes[start + 12] ?? 0;
  const command = versionAndCommand & 0x0f;
  if (versionAndCommand >> 4 !== 2 || command > V2_COMMAND_PROXY) return MALFORMED;
  const length = bytes.readUInt16BE(start + 14);
  const headerBytes = V2_FIXED_BYTES + length;
  if (headerBytes > maxBytes) return MALFORMED;
  const family = (bytes[start + 13] ?? 0) >> 4;
  const transport = (bytes[start + 13] ?? 0) & 0x0f;
  const needed = V2_ADDRESS_BYTES[family];
  // LOCAL: the proxy speaks for itself, and whatever else is said does not count.
  const isLocal = command === V2_COMMAND_LOCAL;
  if (!isLocal && (needed === undefined || transport > V2_LAST_TRANSPORT || length < needed)) {
    return MALFORMED;
  }
  if (available < headerBytes) return incomplete(headerBytes);
  const address =
    isLocal || transport !== V2_TRANSPORT_STREAM
      ? undefined
      : readV2Address(bytes, start + V2_FIXED_BYTES, family);
  return { kind: 'complete', headerBytes, address };
}

function readV2Address(bytes: Buffer, at: number, family: number): Uint8Array | undefined {
  if (family !== V2_FAMILY_INET && family !== V2_FAMILY_INET6) return undefined;
  const address = new Uint8Array(ADDRESS_BYTES);
  if (family === V2_FAMILY_INET6) {
    address.set(bytes.subarray(at, at + ADDRESS_BYTES));
  } else {
    address.fill(0xff, 10, 12);
    address.set(bytes.subarray(at, at + 4), 12);
  }
  return address;
}
