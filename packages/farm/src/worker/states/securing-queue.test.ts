import { describe, expect, it } from 'vitest';
import { SecuringQueue } from './securing-queue.ts';

/** Takes handshakes until none may begin. */
function takeAll(queue: SecuringQueue): number[] {
  const slots: number[] = [];
  while (queue.hasNext) slots.push(queue.next()?.slot ?? -1);
  return slots;
}

describe('the queue of TLS handshakes', () => {
  it('go round among owners, and by age within one', () => {
    const queue = new SecuringQueue();
    for (const slot of [1, 2, 3, 4]) queue.add(slot, 'many', 100);
    queue.add(10, 'one', 100);
    queue.add(20, 'two', 100);
    queue.add(21, 'two', 100);
    expect(takeAll(queue)).toEqual([1, 10, 20, 2, 21, 3, 4]);
    expect(queue.next()).toBeUndefined();
  });

  it('leave the surplus of an owner waiting until one of its own ends', () => {
    const queue = new SecuringQueue();
    expect([1, 2, 3, 4].map((slot) => queue.add(slot, 'many', 2))).toEqual([true, true, false, false]);
    expect(takeAll(queue)).toEqual([1, 2]);
    expect(queue.add(10, 'one', 2)).toBe(true);
    expect(takeAll(queue)).toEqual([10]);
    queue.ended('one');
    expect(takeAll(queue)).toEqual([]);
    queue.ended('many');
    expect(takeAll(queue)).toEqual([3]);
  });

  it('pass over who does not wait any more, and forget owners that have nothing', () => {
    const queue = new SecuringQueue();
    for (const slot of [1, 2, 3]) queue.add(slot, 'many', 1);
    queue.add(10, 'one', 1);
    queue.remove(1);
    queue.remove(10);
    queue.remove(99);
    expect(queue.owners).toBe(1);
    expect(takeAll(queue)).toEqual([2]);
    queue.remove(3);
    queue.ended('many');
    queue.ended('nobody');
    expect(queue.owners).toBe(0);
    expect(queue.hasNext).toBe(false);
  });
});
