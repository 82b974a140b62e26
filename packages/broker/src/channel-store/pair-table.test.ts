import { liveBytes } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { PairTable } from './pair-table.ts';

describe('a table of pairs', () => {
  it('has what was added, whatever its size and alphabet, until it is deleted', () => {
    const table = new PairTable();
    const pairs = ['a\nb', 'a\n', 'ü🐓\nж', `x\n${'y'.repeat(30_000)}`, `${'c'.repeat(3_000)}\nd`];
    const texts = ['{}', '', '"ü🐓"', 'short', 'z'.repeat(40_000)];
    for (const [index, pair] of pairs.entries()) {
      expect(table.has(pair)).toBe(false);
      table.add(pair, texts[index] ?? '');
    }
    expect(table.pairs().toSorted()).toEqual(pairs.toSorted());
    for (const [index, pair] of pairs.entries()) {
      expect(table.has(pair)).toBe(true);
      expect(table.get(pair)).toBe(texts[index]);
      expect(table.delete(pair)).toBe(true);
      expect(table.delete(pair)).toBe(false);
      expect(table.get(pair)).toBeUndefined();
    }
    expect(table.pairs()).toEqual([]);
  });

  it('takes less than 90 bytes for a member of ordinary size', () => {
    const table = new PairTable();
    const before = liveBytes();
    for (let index = 0; index < 100_000; index++) {
      table.add(`presence-room-${index % 5_000}\nuser-${index}`, `{"name":"user ${index}"}`);
    }
    expect((liveBytes() - before) / 100_000).toBeLessThan(90);
    expect(table.pairs()).toHaveLength(100_000);
  });
});
