import { describe, expect, it } from 'vitest';
import { OwnerCounts } from './owner-counts.ts';

describe('counts of owners', () => {
  it('are what was set last, and none for whom they do not know', () => {
    const counts = new OwnerCounts<string>();
    expect([counts.isEmpty, counts.total, counts.get('one')]).toEqual([true, 0, 0]);
    counts.set('one', 1);
    counts.set('two', 20);
    counts.set('three', 300);
    counts.set('two', 40);
    expect([counts.isEmpty, counts.total]).toEqual([false, 341]);
    expect(['one', 'two', 'three', 'four'].map((owner) => counts.get(owner))).toEqual([1, 40, 300, 0]);
  });

  it.each([[['one', 'two', 'three']], [['three', 'two', 'one']], [['two', 'one', 'three']]])(
    'go with 0, in whatever order: %j',
    (order) => {
      const counts = new OwnerCounts<string>();
      for (const owner of ['one', 'two', 'three']) counts.set(owner, 5);
      for (const [index, owner] of order.entries()) {
        counts.set(owner, 0);
        counts.set(owner, 0);
        expect([counts.get(owner), counts.total]).toEqual([0, 5 * (2 - index)]);
      }
      expect(counts.isEmpty).toBe(true);
    },
  );
});
