import { describe, expect, it } from 'vitest';
import { parseAddress } from './address.ts';
import { addressKeyHigh, addressKeyLow, AddressTable } from './address-table.ts';

function keyOf(text: string): string {
  const bytes = parseAddress(text);
  if (bytes === undefined) throw new Error(`${text} is no address`);
  // Not at the beginning, as in a table's column.
  const padded = Buffer.concat([Buffer.alloc(3), bytes]);
  return `${addressKeyHigh(padded, 3).toString(16)} ${addressKeyLow(padded, 3).toString(16)}`;
}

describe('the key of an address', () => {
  it('is IPv4 itself, mapped or not', () => {
    expect(keyOf('192.0.2.1')).toBe('ffffffff c0000201');
    expect(keyOf('::ffff:192.0.2.1')).toBe('ffffffff c0000201');
    expect(keyOf('192.0.2.2')).not.toBe(keyOf('192.0.2.1'));
  });

  it('is the /64 of IPv6', () => {
    expect(keyOf('2001:db8:1:2::1')).toBe('20010db8 10002');
    expect(keyOf('2001:db8:1:2:ffff:ffff:ffff:ffff')).toBe(keyOf('2001:db8:1:2::'));
    expect(keyOf('2001:db8:1:3::1')).not.toBe(keyOf('2001:db8:1:2::1'));
    expect(keyOf('::1')).toBe('0 0');
  });
});

describe('a table of addresses', () => {
  it('finds what it was given, and tells tags apart', () => {
    const table = new AddressTable(8);
    const one = table.take(1, 2);
    const tagged = table.take(1, 2, 7);
    expect(new Set([one, tagged, table.take(2, 1)]).size).toBe(3);
    expect(table.take(1, 2)).toBe(one);
    expect(table.find(1, 2, 7)).toBe(tagged);
    expect(table.find(1, 2, 8)).toBe(-1);
    expect([table.high(tagged), table.low(tagged), table.tag(tagged)]).toEqual([1, 2, 7]);
    expect(table.used).toBe(3);
  });

  it('takes as many as it has room for, and again when one was forgotten', () => {
    const table = new AddressTable(3);
    const indices = [10, 11, 12].map((low) => table.take(0, low));
    expect(indices).toEqual([0, 1, 2]);
    expect(table.take(0, 13)).toBe(-1);
    expect(table.take(0, 11)).toBe(1);
    table.free(1);
    expect(table.isUsed(1)).toBe(false);
    expect(table.find(0, 11)).toBe(-1);
    expect(table.take(0, 13)).toBe(1);
    expect([table.find(0, 10), table.find(0, 12), table.find(0, 13)]).toEqual([0, 2, 1]);
    expect(table.highWater).toBe(3);
  });

  it('knows the same as a Map after ten thousand random changes', () => {
    const table = new AddressTable(64);
    const model = new Map<string, number>();
    let seed = 12_345;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % below;
    };
    for (let step = 0; step < 10_000; step++) {
      const [high, low, tag] = [0xffff_fff0 + random(3), random(16), random(2)];
      const name = `${high} ${low} ${tag}`;
      const known = model.get(name);
      expect(table.find(high, low, tag)).toBe(known ?? -1);
      if (known !== undefined && random(2) === 0) {
        table.free(known);
        model.delete(name);
      } else {
        const index = table.take(high, low, tag);
        expect(index).toBe(known ?? (model.size < 64 ? index : -1));
        if (index !== -1) model.set(name, index);
      }
      expect(table.used).toBe(model.size);
    }
    expect(new Set(model.values()).size).toBe(model.size);
  });
});
