import { describe, expect, it } from 'vitest';
import { quantile, since } from './quantile.ts';

const bounds = [0.1, 0.5, 1];

describe('a quantile', () => {
  it('lies on a straight line through its bucket', () => {
    expect(quantile({ bounds, counts: [10, 0, 0, 0] }, 0.5)).toBeCloseTo(0.05);
    expect(quantile({ bounds, counts: [0, 4, 0, 0] }, 0.5)).toBeCloseTo(0.3);
    expect(quantile({ bounds, counts: [90, 10, 0, 0] }, 0.99)).toBeCloseTo(0.46);
    expect(quantile({ bounds, counts: [1, 0, 1, 0] }, 1)).toBe(1);
  });

  it('is the last bound where more is not known', () => {
    expect(quantile({ bounds, counts: [0, 0, 0, 5] }, 0.5)).toBe(1);
  });

  it('is not known without observations', () => {
    expect(quantile({ bounds, counts: [0, 0, 0, 0] }, 0.5)).toBeNull();
  });
});

describe('what was observed between two looks', () => {
  it('is the difference of their counts', () => {
    const before = { bounds, counts: [1, 2, 3, 4] };
    expect(since(before, { bounds, counts: [2, 2, 3, 9] })).toEqual({ bounds, counts: [1, 0, 0, 5] });
  });

  it('is not known when another farm has begun to count', () => {
    expect(since({ bounds, counts: [5, 0, 0, 0] }, { bounds, counts: [1, 9, 0, 0] })).toBeUndefined();
    expect(since({ bounds: [1], counts: [5, 0] }, { bounds, counts: [6, 0, 0, 0] })).toBeUndefined();
  });
});
