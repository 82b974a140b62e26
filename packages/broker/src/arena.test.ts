import { liveBytes, seededRandom, testSeed } from '@roost/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { Arena, bytesForIntegers, firstInteger } from './arena.ts';

const PAGE_BYTES = 64 * 1024;

let arena: Arena;
beforeEach(() => {
  arena = new Arena();
});

/** What a record costs, seen from outside: the share of a page. */
function costOf(length: number): number {
  const fresh = new Arena();
  let count = 0;
  while (fresh.bytes <= PAGE_BYTES) {
    fresh.allocate(length);
    count++;
  }
  return PAGE_BYTES / (count - 1);
}

describe('an arena', () => {
  it('keeps integers, too, in records of their own', () => {
    const kept = Array.from({ length: 2_000 }, (_, index) => {
      const count = index % 40;
      const id = arena.allocate(bytesForIntegers(count));
      for (let at = 0; at < count; at++) arena.integers(id)[firstInteger(id) + at] = -index;
      return { id, count };
    });
    for (const [index, { id, count }] of kept.entries()) {
      const found = arena.integers(id).subarray(firstInteger(id), firstInteger(id) + count);
      expect([...found]).toEqual(Array.from({ length: count }, () => -index));
      expect(arena.get(id)).toHaveLength(bytesForIntegers(count));
    }
  });

  it('keeps bytes of many sizes apart, through any order of changes', () => {
    const random = seededRandom(testSeed());
    const kept = new Map<number, Buffer>();
    const bytesOf = (): Buffer => {
      const length = random(3) === 0 ? random(20_000) : random(200);
      return Buffer.alloc(length, random(256));
    };
    for (let step = 0; step < 60_000; step++) {
      // Waves: mostly more, then mostly fewer.
      const isGrowing = Math.floor(step / 10_000) % 2 === 0;
      const ids = kept.size > 0 && random(4) === 0 ? [...kept.keys()] : [];
      const some = ids[random(Math.max(1, ids.length))];
      if (some !== undefined && random(3) === 0) {
        const bytes = bytesOf();
        const expected = Buffer.from(bytes);
        kept.delete(some);
        const id = arena.replace(some, bytes);
        if (id === 0 || kept.has(id)) expect.unreachable(`step ${step}: ${id} is another's`);
        kept.set(id, expected);
      } else if (some !== undefined && (!isGrowing || random(4) === 0)) {
        arena.free(some);
        kept.delete(some);
      } else if (kept.size < 400) {
        const bytes = bytesOf();
        const id = arena.add(bytes);
        if (id === 0 || kept.has(id)) expect.unreachable(`step ${step}: ${id} is another's`);
        kept.set(id, bytes);
      }
      if (step % 500 !== 0) continue;
      for (const [id, bytes] of kept) {
        if (!arena.get(id).equals(bytes)) expect.unreachable(`step ${step}: ${id} has other bytes`);
      }
    }
    for (const id of kept.keys()) arena.free(id);
    kept.clear();
    // One empty page of each size is kept.
    expect(arena.bytes).toBeLessThan(100 * PAGE_BYTES);
  });

  it('keeps none, and many', () => {
    const empty = arena.allocate(0);
    const large = arena.add(Buffer.alloc(20 * 1024, 7));
    expect(arena.get(empty)).toHaveLength(0);
    expect(arena.get(large).equals(Buffer.alloc(20 * 1024, 7))).toBe(true);
    for (const length of [-1, 1.5, Number.NaN, 20 * 1024 + 1]) {
      expect(() => arena.allocate(length)).toThrow(RangeError);
    }
  });

  it('lends its bytes: a change of them stays', () => {
    const id = arena.add(Buffer.from('hello'));
    arena.get(id).write('J');
    expect(String(arena.get(id))).toBe('Jello');
    expect(arena.replace(id, Buffer.from('bye'))).toBe(id);
    expect(String(arena.get(id))).toBe('bye');
  });

  it('may be given its own bytes in place of themselves', () => {
    const id = arena.add(Buffer.from('hello'));
    expect(String(arena.get(arena.replace(id, arena.get(id).subarray(1))))).toBe('ello');
    const large = arena.add(Buffer.alloc(1000, 'x'));
    expect(String(arena.get(arena.replace(large, arena.get(large).subarray(995))))).toBe('xxxxx');
  });

  it('takes little more than the bytes', () => {
    expect([1, 6, 7, 14, 16, 22, 126].map((length) => Math.round(costOf(length)))).toEqual([
      8, 8, 16, 16, 24, 24, 128,
    ]);
    for (const length of [127, 200, 500, 513, 1000, 1500, 2049]) {
      expect(costOf(length) / length, `${length} bytes`).toBeLessThan(1.17);
    }
    const before = liveBytes();
    const ids = new Int32Array(500_000);
    const bytes = Buffer.alloc(16);
    for (let index = 0; index < ids.length; index++) ids[index] = arena.add(bytes);
    expect((liveBytes() - before) / ids.length).toBeLessThan(24.5 + 4);
    for (const id of ids) arena.free(id);
    expect(arena.bytes).toBe(PAGE_BYTES);
    expect((liveBytes() - before) / ids.length).toBeLessThan(4 + 4);
  });

  it('gives records that were freed to whoever comes next', () => {
    const ids = Array.from({ length: 10_000 }, () => arena.allocate(30));
    const { bytes } = arena;
    for (let round = 0; round < 10; round++) {
      for (const id of ids.splice(0, 5000)) arena.free(id);
      for (let count = 0; count < 5000; count++) ids.push(arena.allocate(30));
    }
    expect(arena.bytes).toBe(bytes);
  });
});
