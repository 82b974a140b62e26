import { seededRandom, testSeed } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { formatAddress } from '../../addresses/address.ts';
import { readProxyHeader, type ProxyHeaderResult } from './proxy-header.ts';

const MAX_BYTES = 536;
const SIGNATURE = '0d0a0d0a000d0a515549540a';

function v1(line: string): Buffer {
  return Buffer.from(`${line}\r\n`, 'latin1');
}

/** Version 2: what follows the signature, in hexadecimal. */
function v2(rest: string): Buffer {
  return Buffer.from(SIGNATURE + rest.replaceAll(' ', ''), 'hex');
}

/** Reads bytes that stand between others, as they do in the slab. */
function read(bytes: Buffer, maxBytes = MAX_BYTES): ProxyHeaderResult {
  const surrounded = Buffer.concat([Buffer.from('PROX'), bytes, Buffer.from('\r\n\n')]);
  return readProxyHeader(surrounded, 4, 4 + bytes.length, maxBytes);
}

function addressOf(result: ProxyHeaderResult): string | undefined {
  if (result.kind !== 'complete') throw new Error(`the header is ${result.kind}`);
  return result.address === undefined ? undefined : formatAddress(result.address);
}

const LONGEST_V1 =
  'PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535';

const GOOD: readonly [string, Buffer, string | undefined][] = [
  ['TCP4 of version 1', v1('PROXY TCP4 192.0.2.1 198.51.100.7 56324 443'), '192.0.2.1'],
  ['TCP6 of version 1', v1('PROXY TCP6 2001:db8::1 ::1 65535 0'), '2001:db8::1'],
  ['TCP6 of version 1 with a mapped address', v1('PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2'), '192.0.2.1'],
  ['UNKNOWN of version 1', v1('PROXY UNKNOWN'), undefined],
  ['UNKNOWN of version 1 with addresses, which is the longest line', v1(LONGEST_V1), undefined],
  ['TCP4 of version 2', v2('21 11 000c c0000201 c6336407 dc04 01bb'), '192.0.2.1'],
  [
    'TCP6 of version 2',
    v2('21 21 0024 20010db8000000000000000000000001 00000000000000000000000000000001 dc04 01bb'),
    '2001:db8::1',
  ],
  // PP2_TYPE_AUTHORITY (02) "a.b", and PP2_TYPE_NOOP (04) of no bytes.
  ['version 2 with TLVs', v2('21 11 0015 c0000201 c6336407 dc04 01bb 02 0003 612e62 04 0000'), '192.0.2.1'],
  ['LOCAL of version 2', v2('20 00 0000'), undefined],
  [
    'LOCAL of version 2 with an address, which does not count',
    v2('20 11 000c c0000201 c6336407 dc04 01bb'),
    undefined,
  ],
  ['LOCAL of version 2 with a family that nobody knows', v2('20 ff 0002 abcd'), undefined],
  ['UNSPEC of version 2', v2('21 00 0003 aabbcc'), undefined],
  ['UDP of version 2', v2('21 12 000c c0000201 c6336407 dc04 01bb'), undefined],
  ['a UNIX socket of version 2', v2(`21 31 00d8 ${'2f'.repeat(216)}`), undefined],
];

describe('a PROXY header', () => {
  it.each(GOOD)('is read: %s', (_, bytes, address) => {
    const result = read(bytes);
    expect(result).toMatchObject({ kind: 'complete', headerBytes: bytes.length });
    expect(addressOf(result)).toBe(address);
    // Nothing behind it belongs to it.
    expect(read(Buffer.concat([bytes, Buffer.from('GET / HTTP/1.1\r\n')]))).toEqual(result);
  });

  it('the longest line of version 1 has 107 bytes', () => {
    expect(v1(LONGEST_V1)).toHaveLength(107);
    expect(read(v1(`${LONGEST_V1} `))).toEqual({ kind: 'malformed' });
    // Refused as soon as it cannot end in time.
    expect(read(Buffer.from(`${LONGEST_V1}55`))).toEqual({ kind: 'malformed' });
    expect(read(Buffer.from(`${LONGEST_V1}5`))).toMatchObject({ kind: 'incomplete' });
  });

  it.each(GOOD)('is waited for as long as it may come, and never longer: %s', (_, bytes) => {
    for (let length = 0; length < bytes.length; length++) {
      const result = read(bytes.subarray(0, length));
      if (result.kind !== 'incomplete') throw new Error(`${length} bytes are ${result.kind}`);
      expect(result.requiredBytes).toBeGreaterThan(length);
      expect(result.requiredBytes).toBeLessThanOrEqual(bytes.length);
    }
  });

  it('of version 2 says at once how long it is', () => {
    expect(read(v2(''))).toEqual({ kind: 'incomplete', requiredBytes: 16 });
    expect(read(v2('21 11 0100'))).toEqual({ kind: 'incomplete', requiredBytes: 272 });
  });

  it('of version 2 is bounded', () => {
    const bytes = v2(`21 11 0208 ${'00'.repeat(520)}`);
    expect(bytes).toHaveLength(536);
    expect(read(bytes)).toMatchObject({ kind: 'complete', headerBytes: 536 });
    expect(read(bytes, 535)).toEqual({ kind: 'malformed' });
    expect(read(v2('21 11 ffff'))).toEqual({ kind: 'malformed' });
  });

  it.each([
    'PROXY TCP4 192.0.2.1 198.51.100.7 56324',
    'PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 ',
    'PROXY  TCP4 192.0.2.1 198.51.100.7 56324 443',
    'PROXY TCP4 192.0.2.1  198.51.100.7 56324 443',
    'PROXY TCP4\t192.0.2.1 198.51.100.7 56324 443',
    'PROXY tcp4 192.0.2.1 198.51.100.7 56324 443',
    'PROXY TCP5 192.0.2.1 198.51.100.7 56324 443',
    'PROXY UDP4 192.0.2.1 198.51.100.7 56324 443',
    'PROXY UNKNOWNS',
    'PROXY TCP4 192.0.2.256 198.51.100.7 56324 443',
    'PROXY TCP4 192.0.2.1 198.51.100 56324 443',
    'PROXY TCP4 2001:db8::1 198.51.100.7 56324 443',
    'PROXY TCP4 192.0.2.1 ::1 56324 443',
    'PROXY TCP6 192.0.2.1 198.51.100.7 56324 443',
    'PROXY TCP6 fe80::1%eth0 ::1 56324 443',
    'PROXY TCP6 [::1] ::1 56324 443',
    'PROXY TCP4 proxy.test 198.51.100.7 56324 443',
    'PROXY TCP4 192.0.2.1 198.51.100.7 65536 443',
    'PROXY TCP4 192.0.2.1 198.51.100.7 056324 443',
    'PROXY TCP4 192.0.2.1 198.51.100.7 -1 443',
    'PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r',
    'PROXY TCP4 192.0.2.1 198.51.100.7\r56324 443',
  ])('of version 1 is malformed: %j', (line) => {
    expect(read(v1(line))).toEqual({ kind: 'malformed' });
  });

  it('of version 1 whose line ends with LF alone is malformed', () => {
    expect(read(Buffer.from('PROXY UNKNOWN\n'))).toEqual({ kind: 'malformed' });
  });

  it.each([
    ['version 1 in binary', '11 11 000c c0000201 c6336407 dc04 01bb'],
    ['version 3', '31 11 000c c0000201 c6336407 dc04 01bb'],
    ['a command that nobody knows', '22 11 000c c0000201 c6336407 dc04 01bb'],
    ['a family that nobody knows', '21 41 000c c0000201 c6336407 dc04 01bb'],
    ['a transport that nobody knows', '21 13 000c c0000201 c6336407 dc04 01bb'],
    ['too short for IPv4', '21 11 000b c0000201 c6336407 dc04 01'],
    ['too short for IPv6', `21 21 0023 ${'00'.repeat(35)}`],
    ['too short for a UNIX socket', `21 31 00d7 ${'00'.repeat(215)}`],
  ])('of version 2 is malformed: %s', (_, rest) => {
    expect(read(v2(rest))).toEqual({ kind: 'malformed' });
    // Known from its first 16 bytes.
    expect(read(v2(rest).subarray(0, 16))).toEqual({ kind: 'malformed' });
  });

  it.each([
    'GET / HTTP/1.1\r\n',
    'POST /api/publish HTTP/1.1\r\n',
    'PROPFIND / HTTP/1.1\r\n',
    'PROXYING',
    '\r\n\r\nGET / HTTP/1.1\r\n',
    '\r\n\r\n\0\r\nQUIT\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    '\0',
  ])('is absent from %j, as soon as that is clear', (text) => {
    const bytes = Buffer.from(text, 'latin1');
    expect(read(bytes)).toEqual({ kind: 'absent' });
    const kinds = Array.from({ length: bytes.length }, (_, length) => read(bytes.subarray(0, length)).kind);
    const clear = kinds.indexOf('absent');
    expect(kinds.slice(0, clear === -1 ? undefined : clear).every((kind) => kind === 'incomplete')).toBe(
      true,
    );
    expect(clear === -1 ? bytes.length : clear).toBeLessThanOrEqual(12);
  });

  it('is judged alike however much has arrived, whatever is wrong with it', () => {
    const below = seededRandom(testSeed());
    for (let round = 0; round < 2000; round++) {
      const [, good] = GOOD[below(GOOD.length)] ?? ['', Buffer.alloc(0)];
      const bytes = Buffer.from(good);
      for (let flips = below(3); flips >= 0; flips--) {
        const at = below(bytes.length);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8));
      }
      const whole = read(bytes);
      let isClear = false;
      for (let length = 0; length < bytes.length; length++) {
        const result = read(bytes.subarray(0, length));
        // Once it is clear what it is, it stays so.
        if (isClear || result.kind !== 'incomplete') expect(result, bytes.toString('hex')).toEqual(whole);
        isClear ||= result.kind !== 'incomplete';
      }
    }
  });
});
