import { describe, expect, it } from 'vitest';
import { TlsTurns } from './securing-queue.ts';

/** Takes turns until nobody's can come. */
function takeAll(turns: TlsTurns): number[] {
  const slots: number[] = [];
  while (turns.hasNext) slots.push(turns.next()?.slot ?? -1);
  return slots;
}

describe('turns of TLS handshakes', () => {
  it('go round among owners, and by age within one', () => {
    const turns = new TlsTurns();
    for (const slot of [1, 2, 3, 4]) turns.add(slot, 'many', 100);
    turns.add(10, 'one', 100);
    turns.add(20, 'two', 100);
    turns.add(21, 'two', 100);
    expect(takeAll(turns)).toEqual([1, 10, 20, 2, 21, 3, 4]);
    expect(turns.next()).toBeUndefined();
  });

  it('leave the surplus of an owner waiting until one of its own ends', () => {
    const turns = new TlsTurns();
    expect([1, 2, 3, 4].map((slot) => turns.add(slot, 'many', 2))).toEqual([true, true, false, false]);
    expect(takeAll(turns)).toEqual([1, 2]);
    expect(turns.add(10, 'one', 2)).toBe(true);
    expect(takeAll(turns)).toEqual([10]);
    turns.ended('one');
    expect(takeAll(turns)).toEqual([]);
    turns.ended('many');
    expect(takeAll(turns)).toEqual([3]);
  });

  it('pass over who does not wait any more, and forget owners that have nothing', () => {
    const turns = new TlsTurns();
    for (const slot of [1, 2, 3]) turns.add(slot, 'many', 1);
    turns.add(10, 'one', 1);
    turns.remove(1);
    turns.remove(10);
    turns.remove(99);
    expect(turns.owners).toBe(1);
    expect(takeAll(turns)).toEqual([2]);
    turns.remove(3);
    turns.ended('many');
    turns.ended('nobody');
    expect(turns.owners).toBe(0);
    expect(turns.hasNext).toBe(false);
  });
});
