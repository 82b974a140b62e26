import { describe, expect, it } from 'vitest';
import { Rate } from './rate.ts';

describe('a rate', () => {
  it('lets through what a second allows at once, then one after the other', () => {
    const rate = new Rate(10);
    expect(rate.available(5000)).toBe(10);
    rate.take(5000, 10);
    expect(rate.available(5000)).toBe(0);
    expect(rate.available(5099)).toBe(0);
    expect(rate.available(5100)).toBe(1);
    rate.take(5100);
    expect(rate.available(5100)).toBe(0);
    expect(rate.available(5600)).toBe(5);
    expect(rate.available(1e9)).toBe(10);
  });

  it('says how long to wait for more', () => {
    const rate = new Rate(10);
    rate.take(0, 10);
    expect(rate.waitMs(0, 1)).toBeCloseTo(100);
    expect(rate.waitMs(0, 3)).toBeCloseTo(300);
    expect(rate.waitMs(250, 1)).toBe(0);
    expect(rate.available(rate.waitMs(0, 7))).toBe(7);
  });

  it('gives each one of its burst, whatever the interval does in binary', () => {
    for (const perSecond of [1, 3, 7, 30, 999, 4001]) {
      const rate = new Rate(perSecond);
      let count = 0;
      for (; count < 2 * perSecond && rate.available(1_234_567.89) > 0; count++) rate.take(1_234_567.89);
      expect(count, String(perSecond)).toBe(perSecond);
    }
  });

  it('of 0 lets nothing through', () => {
    const rate = new Rate(0);
    expect(rate.available(0)).toBe(0);
    rate.take(0);
    expect(rate.available(1e9)).toBe(0);
  });
});
