import { describe, expect, it } from 'vitest';
import { Fifo } from './fifo.ts';

/** Integers from 0 up to, not including, `below`, the same in each run. */
function repeatableRandom(): (below: number) => number {
  let state = 5;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
}

describe('Fifo', () => {
  it('gives items in the order in which they came, from both ends, through any number', () => {
    const random = repeatableRandom();
    const line = new Fifo<number>();
    const plain: number[] = [];
    let next = 0;
    let isRight = true;
    for (let step = 0; step < 50_000; step++) {
      // It grows over some thousands, and shrinks again.
      const grows = Math.floor(step / 8000) % 2 === 0;
      if (random(10) < (grows ? 8 : 2)) {
        line.push(next);
        plain.push(next++);
      } else if (random(4) > 0) isRight &&= line.shift() === plain.shift();
      else isRight &&= line.pop() === plain.pop();
      isRight &&= line.length === plain.length && line.first === plain[0];
      if (!isRight) expect.unreachable(`step ${step}`);
    }
  });

  it('takes an item between others, counted from the first', () => {
    const line = new Fifo<string>();
    line.insert(1, 'b');
    line.insert(0, 'a');
    for (const item of ['c', 'e']) line.push(item);
    expect(line.shift()).toBe('a');
    line.insert(2, 'd');
    line.insert(9, 'f');
    expect(Array.from({ length: line.length }, () => line.shift())).toEqual(['b', 'c', 'd', 'e', 'f']);
  });

  it('is empty when it is cleared', () => {
    const line = new Fifo<number>();
    line.push(1);
    line.clear();
    expect([line.length, line.first, line.shift(), line.pop()]).toEqual([0, undefined, undefined, undefined]);
  });
});
