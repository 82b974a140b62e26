import { describe, expect, it } from 'vitest';
import { Backoff } from './backoff.ts';

/** Delays after so many deaths in a row, each after being ready for so long. */
function delays(count: number, random: number, readyMs = 0): number[] {
  const backoff = new Backoff(() => random);
  return Array.from({ length: count }, () => backoff.next(readyMs));
}

describe('the delay before a worker is started again', () => {
  it('is nothing the first time, and then doubles up to 30 s', () => {
    expect(delays(10, 1)).toEqual([0, 250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  });

  it('is cut by up to a half, so that workers that died together do not come back together', () => {
    expect(delays(4, 0)).toEqual([0, 125, 250, 500]);
    const several = new Set(
      Array.from({ length: 20 }, () => {
        const backoff = new Backoff();
        for (let death = 0; death < 9; death++) backoff.next(0);
        return backoff.next(0);
      }),
    );
    expect(several.size).toBeGreaterThan(10);
  });

  it('begins anew after a worker that was ready for 10 s', () => {
    const backoff = new Backoff(() => 1);
    expect([backoff.next(0), backoff.next(9999), backoff.next(0)]).toEqual([0, 250, 500]);
    expect([backoff.next(10_000), backoff.next(0)]).toEqual([0, 250]);
  });

  it('stays finite however often', () => {
    expect(delays(3000, 1).at(-1)).toBe(30_000);
  });
});
