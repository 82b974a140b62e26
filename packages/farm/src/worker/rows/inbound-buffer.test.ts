import { describe, expect, it } from 'vitest';

import { InboundBuffer } from './inbound-buffer.ts';

const NOTHING = Buffer.alloc(0);

function append(inbound: InboundBuffer, slot: number, text: string): boolean {
  const bytes = Buffer.from(`<${text}>`);
  return inbound.append(slot, bytes, 1, bytes.length - 1);
}

describe('InboundBuffer', () => {
  it('gives back what was stored for a row, with what has just arrived behind it', () => {
    const inbound = new InboundBuffer({ capacity: 4, maxBytes: 1024, blockBytes: 8 });
    expect(append(inbound, 2, 'abc')).toBe(true);
    expect(append(inbound, 2, 'defghijklmnop')).toBe(true);
    expect(inbound.length(2)).toBe(16);
    expect(inbound.take(2, Buffer.from('-qr-'), 1, 3).toString()).toBe('abcdefghijklmnopqr');
    expect([inbound.length(2), inbound.usedBytes]).toEqual([0, 0]);
    expect(inbound.take(2, Buffer.from('x'), 0, 1).toString()).toBe('x');
  });

  it('counts what is held elsewhere against the same bound', () => {
    const inbound = new InboundBuffer({ capacity: 4, maxBytes: 64, blockBytes: 8 });
    expect(inbound.claim(50)).toBe(true);
    expect(inbound.usedBytes).toBe(50);
    expect(append(inbound, 0, '12345678')).toBe(true);
    expect(append(inbound, 1, '1')).toBe(false);
    expect(append(inbound, 0, '9')).toBe(false);
    expect(inbound.claim(7)).toBe(false);
    expect(inbound.claim(6)).toBe(true);
    expect(inbound.usedBytes).toBe(64);
    expect(inbound.claim(-56)).toBe(true);
    expect(append(inbound, 1, '1')).toBe(true);
    expect(inbound.usedBytes).toBe(16);
  });

  it('tells how much it has left to the garbage collector', () => {
    const inbound = new InboundBuffer({ capacity: 4, maxBytes: 1024 * 1024 });
    const bytes = Buffer.alloc(200_000);
    inbound.append(0, bytes, 0, bytes.length);
    expect(inbound.freedBytes).toBe(0);
    inbound.release(0);
    // Four slabs, of which one is kept.
    expect(inbound.freedBytes).toBe(3 * 65_536);
  });

  it('keeps rows apart whatever their pieces', () => {
    const inbound = new InboundBuffer({ capacity: 16, maxBytes: 64 * 1024, blockBytes: 16 });
    const expected = Array.from({ length: 16 }, () => '');
    let seed = 1;
    for (let turn = 0; turn < 4000; turn++) {
      seed = (seed * 48_271) % 2_147_483_647;
      const slot = seed % 16;
      const length = (seed >> 8) % 70;
      if ((seed >> 16) % 11 === 0) {
        expect(inbound.take(slot, NOTHING, 0, 0).toString()).toBe(expected[slot]);
        expected[slot] = '';
      } else if ((seed >> 16) % 23 === 0) {
        inbound.release(slot);
        expected[slot] = '';
      } else {
        const text = String(turn).repeat(20).slice(0, length);
        expect(append(inbound, slot, text)).toBe(true);
        expected[slot] += text;
      }
      expect(inbound.length(slot)).toBe(expected[slot]?.length);
    }
    const blocks = expected.map((text) => Math.ceil(text.length / 16)).reduce((sum, count) => sum + count, 0);
    expect(inbound.usedBytes).toBe(blocks * 16);
    for (let slot = 0; slot < 16; slot++) {
      expect(inbound.take(slot, NOTHING, 0, 0).toString()).toBe(expected[slot]);
    }
    expect(inbound.usedBytes).toBe(0);
  });

  it('stores nothing of bytes that would pass maxBytes', () => {
    const inbound = new InboundBuffer({ capacity: 3, maxBytes: 32, blockBytes: 8 });
    expect(append(inbound, 0, 'abcdefgh')).toBe(true);
    expect(append(inbound, 1, 'abcdefghi')).toBe(true);
    expect(inbound.usedBytes).toBe(24);
    expect(append(inbound, 2, '123456789')).toBe(false);
    expect([inbound.length(2), inbound.usedBytes]).toEqual([0, 24]);
    expect(append(inbound, 1, 'jklmnop12345678')).toBe(true);
    expect(append(inbound, 1, '9')).toBe(false);
    expect(inbound.length(1)).toBe(24);
    expect(inbound.take(1, NOTHING, 0, 0).toString()).toBe('abcdefghijklmnop12345678');
    expect(append(inbound, 2, '123456789')).toBe(true);
  });

  it('fills the last block of a full arena', () => {
    const inbound = new InboundBuffer({ capacity: 1, maxBytes: 8, blockBytes: 8 });
    expect(append(inbound, 0, 'a')).toBe(true);
    expect(append(inbound, 0, 'bcdefgh')).toBe(true);
    expect(append(inbound, 0, 'i')).toBe(false);
    expect(inbound.take(0, NOTHING, 0, 0).toString()).toBe('abcdefgh');
  });

  it('holds a byte of each of 18,000 rows in few objects, and gives the memory back', () => {
    const inbound = new InboundBuffer({ capacity: 18_000, maxBytes: 16 * 1024 * 1024 });
    for (let slot = 0; slot < 18_000; slot++) expect(append(inbound, slot, 'G')).toBe(true);
    expect(inbound.usedBytes).toBe(18_000 * 256);
    expect(inbound.allocatedBytes).toBe(Math.ceil((18_000 * 256) / 65_536) * 65_536);
    for (let slot = 0; slot < 18_000; slot++) inbound.release(slot);
    expect([inbound.usedBytes, inbound.allocatedBytes]).toEqual([0, 65_536]);
  });

  it('returns slabs that are empty while others are in use, and takes them again', () => {
    const inbound = new InboundBuffer({ capacity: 4, maxBytes: 8 * 65_536 });
    const slab = Buffer.alloc(65_536, 'x');
    for (let slot = 0; slot < 4; slot++) inbound.append(slot, slab, 0, slab.length);
    expect(inbound.allocatedBytes).toBe(4 * 65_536);
    for (const slot of [1, 3, 0]) inbound.release(slot);
    expect(inbound.allocatedBytes).toBe(2 * 65_536);
    for (const slot of [0, 1, 3]) expect(inbound.append(slot, slab, 0, slab.length)).toBe(true);
    expect(inbound.allocatedBytes).toBe(4 * 65_536);
    for (let slot = 0; slot < 4; slot++) {
      expect(inbound.take(slot, NOTHING, 0, 0).equals(slab)).toBe(true);
    }
  });

  it('remembers how many bytes a row needs until it is taken or released', () => {
    const inbound = new InboundBuffer({ capacity: 2, maxBytes: 1024 });
    inbound.setRequired(1, 70_000);
    expect([inbound.required(0), inbound.required(1)]).toEqual([0, 70_000]);
    inbound.release(1);
    expect(inbound.required(1)).toBe(0);
    append(inbound, 1, 'a');
    inbound.setRequired(1, 5);
    inbound.take(1, NOTHING, 0, 0);
    expect(inbound.required(1)).toBe(0);
  });

  it('releases an empty row without harm', () => {
    const inbound = new InboundBuffer({ capacity: 1, maxBytes: 1024 });
    inbound.release(0);
    append(inbound, 0, 'a');
    inbound.release(0);
    inbound.release(0);
    expect([inbound.usedBytes, inbound.length(0)]).toEqual([0, 0]);
  });

  it('may be larger than 2 GiB', () => {
    const inbound = new InboundBuffer({ capacity: 2, maxBytes: 3 * 1024 ** 3 });
    expect(inbound.claim(2 ** 31)).toBe(true);
    expect(append(inbound, 1, 'a')).toBe(true);
    expect(inbound.usedBytes).toBe(2 ** 31 + 256);
    expect(inbound.claim(1024 ** 3)).toBe(false);
    expect(inbound.take(1, NOTHING, 0, 0).toString()).toBe('a');
  });
});
