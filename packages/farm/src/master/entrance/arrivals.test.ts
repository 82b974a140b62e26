import { seededRandom, testSeed } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { Arrivals } from './arrivals.ts';

const SECOND = 1000;
const DAY = 86_400 * SECOND;

describe('arrivals', () => {
  it('tell when a connection was accepted, to a second', () => {
    const arrivals = new Arrivals();
    arrivals.note(1, 5000);
    arrivals.note(11, 5400);
    arrivals.note(21, 6000);
    expect([1, 10, 11, 20, 21, 9999].map((number) => arrivals.timeOf(number))).toEqual([
      5000, 5000, 5000, 5000, 6000, 6000,
    ]);
  });

  it('do not count the time in which nobody came', () => {
    const arrivals = new Arrivals();
    arrivals.note(1, 1000);
    arrivals.note(1, 60_000);
    expect(arrivals.timeOf(1)).toBe(60_000);
  });

  it('know nothing of numbers before the first', () => {
    expect(new Arrivals().timeOf(1)).toBeUndefined();
  });

  const seed = testSeed(18);
  it(`are off by a second, or by 1/256 of the age, after weeks of bursts and quiet hours (seed ${seed})`, () => {
    const random = seededRandom(seed);
    const arrivals = new Arrivals();
    const truth: [number: number, at: number][] = [];
    let now = 0;
    let next = 1;
    while (now < 60 * DAY) {
      now += random(1000) === 0 ? random(3600 * SECOND) : random(20 * SECOND);
      arrivals.note(next, now);
      if (truth.length === 0 || random(50) === 0) truth.push([next, now]);
      next += 1 + random(500);
    }
    expect(truth.length).toBeGreaterThan(1000);
    for (const [number, at] of truth) {
      const early = at - (arrivals.timeOf(number) ?? Number.NaN);
      expect(early).toBeGreaterThanOrEqual(0);
      expect(early).toBeLessThanOrEqual(Math.max(SECOND, (now - at) / 256));
    }
  });
});
