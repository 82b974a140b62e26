import { seededRandom } from '@roost/testing';
import { BlockList } from 'node:net';
import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../addresses/address.ts';
import { isAddressRange, TrustedProxies } from './trusted-proxies.ts';

function trusts(ranges: readonly string[], address: string): boolean {
  // Behind other bytes, as the addresses of a hand-off stand.
  const bytes = Buffer.concat([Buffer.from('ffff'), parseAddress(address) ?? Buffer.alloc(0)]);
  return new TrustedProxies(ranges).isTrusted(bytes, 4);
}

describe('trusted proxies', () => {
  it.each([
    ['an address', ['192.0.2.1'], '192.0.2.1', '192.0.2.2'],
    ['a block', ['10.0.0.0/8'], '10.255.255.255', '11.0.0.0'],
    ['a block whose prefix is no whole byte', ['172.16.0.0/12'], '172.31.0.1', '172.32.0.1'],
    ['a block of one', ['192.0.2.1/32'], '192.0.2.1', '192.0.2.0'],
    ['a block of two', ['192.0.2.0/31'], '192.0.2.1', '192.0.2.2'],
    ['a block written with bits beyond its prefix', ['10.1.2.3/8'], '10.9.9.9', '11.1.2.3'],
    ['all of IPv4, and no IPv6', ['0.0.0.0/0'], '203.0.113.9', '::1'],
    ['all of IPv6, and no IPv4', ['::/0'], '2001:db8::1', '203.0.113.9'],
    ['an address of IPv6', ['::1'], '::1', '::2'],
    ['a block of IPv6', ['2001:db8::/32'], '2001:db8:ffff::1', '2001:db9::'],
    [
      'a block of IPv6 whose prefix is no whole word',
      ['2001:db8:8000::/33'],
      '2001:db8:8000::1',
      '2001:db8::1',
    ],
    ['a mapped block', ['::ffff:10.0.0.0/104'], '10.1.2.3', '11.1.2.3'],
    ['a block wider than IPv4, and no IPv4', ['::ffff:0:0/80'], '::1:2:3', '10.0.0.1'],
    ['a mapped address', ['::ffff:192.0.2.1'], '192.0.2.1', '192.0.2.3'],
    ['any of several', ['::1', '192.0.2.1', '10.0.0.0/8', 'fd00::/8'], 'fd12::1', 'fe80::1'],
  ])('are %s', (_, ranges, inside, outside) => {
    expect(trusts(ranges, inside)).toBe(true);
    expect(trusts(ranges, outside)).toBe(false);
  });

  it('are nobody by default', () => {
    for (const address of ['127.0.0.1', '0.0.0.0', '::1', '::']) expect(trusts([], address)).toBe(false);
  });

  it('are those that Node would find', () => {
    const below = seededRandom(0x70726f78);
    for (let round = 0; round < 500; round++) {
      const list = new BlockList();
      const isIPv6 = below(2) === 0;
      const network = isIPv6 ? '2001:db8:a5a5:5a5a:c3c3:3c3c:9999:6666' : '172.21.153.102';
      const prefixBits = isIPv6 ? below(129) : below(33);
      list.addSubnet(network, prefixBits, isIPv6 ? 'ipv6' : 'ipv4');
      const proxies = new TrustedProxies(['::1', `${network}/${prefixBits}`, '192.0.2.1']);
      // The network's own address with one bit turned is inside exactly when the bit is beyond the prefix.
      const bytes = parseAddress(network) ?? new Uint8Array();
      const bit = isIPv6 ? below(128) : 96 + below(32);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
      const address = formatAddress(bytes);
      expect(proxies.isTrusted(bytes, 0), `${address} in ${network}/${prefixBits}`).toBe(
        list.check(address, isIPv6 ? 'ipv6' : 'ipv4'),
      );
    }
  });

  it.each([
    '',
    'proxy.example.com',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/8/8',
  ])('are not %j', (text) => expect(isAddressRange(text)).toBe(false));

  it.each(['::/129', '::1/1e1', '10.0.0/8', '[::1]/128', '*', 'loopback', '10.0.0.0-10.0.0.9'])(
    'are not %j either',
    (text) => expect(isAddressRange(text)).toBe(false),
  );
});
