import { describe, expect, it } from 'vitest';
import { formatAddress, isMappedIPv4, parseAddress } from './address.ts';

const MAPPED = '00000000000000000000ffff';

describe('a numeric address', () => {
  it.each([
    ['192.0.2.1', `${MAPPED}c0000201`, '192.0.2.1'],
    ['0.0.0.0', `${MAPPED}00000000`, '0.0.0.0'],
    ['255.255.255.255', `${MAPPED}ffffffff`, '255.255.255.255'],
    ['::ffff:192.0.2.1', `${MAPPED}c0000201`, '192.0.2.1'],
    ['::FFFF:c000:201', `${MAPPED}c0000201`, '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', `${MAPPED}c0000201`, '192.0.2.1'],
    ['::', '00'.repeat(16), '::'],
    ['::1', `${'00'.repeat(15)}01`, '::1'],
    ['1::', `0001${'00'.repeat(14)}`, '1::'],
    ['2001:db8::8:800:200c:417a', '20010db80000000000080800200c417a', '2001:db8::8:800:200c:417a'],
    ['2001:DB8:0:0:8:800:200C:417A', '20010db80000000000080800200c417a', '2001:db8::8:800:200c:417a'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008', '1:2:3:4:5:6:7:8'],
    ['1:2:3:4:5:6:7::', '00010002000300040005000600070000', '1:2:3:4:5:6:7:0'],
    ['64:ff9b::192.0.2.33', '0064ff9b0000000000000000c0000221', '64:ff9b::c000:221'],
    // Not mapped: the prefix must be all of ::ffff:0:0/96.
    ['::1:ffff:c000:201', '00000000000000000001ffffc0000201', '::1:ffff:c000:201'],
    ['::fffe:c000:201', '00000000000000000000fffec0000201', '::fffe:c000:201'],
  ])('%s is its 16 bytes, and these are its usual form again', (text, hex, usual) => {
    const bytes = parseAddress(text);
    expect(Buffer.from(bytes ?? []).toString('hex')).toBe(hex);
    expect(formatAddress(bytes ?? new Uint8Array())).toBe(usual);
    expect(isMappedIPv4(Buffer.from(`ee${hex}`, 'hex'), 1)).toBe(hex.startsWith(MAPPED));
  });

  it.each([
    '',
    'localhost',
    '192.0.2',
    '192.0.2.256',
    '192.0.2.01',
    '192.0.2.1:80',
    ' 192.0.2.1',
    '0x7f.0.0.1',
    '2130706433',
    '[::1]',
    '[::1]:80',
    'fe80::1%eth0',
    '1:2:3:4:5:6:7',
    '1::2::3',
    ':::',
    '::ffff:192.0.2.256',
    '::192.0.2.1:1',
    '12345::',
  ])('is not %j', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});
