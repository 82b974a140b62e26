import { describe, expect, it } from 'vitest';
import { LatencyHistogram } from './latency-histogram.ts';

describe('LatencyHistogram', () => {
  it('tells percentiles at most 1/32 too high', () => {
    const histogram = new LatencyHistogram();
    for (let micros = 1; micros <= 100_000; micros++) histogram.record(micros);
    for (const share of [0.001, 0.5, 0.9, 0.99, 1]) {
      const exact = share * 100_000;
      expect(histogram.percentile(share)).toBeGreaterThanOrEqual(exact);
      expect(histogram.percentile(share)).toBeLessThanOrEqual(exact * (1 + 1 / 32));
    }
  });

  it('holds the smallest and the largest value that it can be given', () => {
    const histogram = new LatencyHistogram();
    histogram.record(-1);
    histogram.record(1e12);
    expect(histogram.percentile(0.5)).toBe(0);
    expect(histogram.percentile(1)).toBe(2 ** 32 - 1);
  });

  it('adds up what several processes send as pairs', () => {
    const [one, other, sum] = [new LatencyHistogram(), new LatencyHistogram(), new LatencyHistogram()];
    for (let i = 0; i < 10; i++) one.record(5);
    for (let i = 0; i < 30; i++) other.record(20);
    sum.addPairs(one.toPairs());
    sum.addPairs(other.toPairs());
    expect(sum.count).toBe(40);
    expect(sum.percentile(0.25)).toBe(5);
    expect(sum.percentile(0.26)).toBe(20);
  });

  it('answers 0 when it is empty', () => {
    expect(new LatencyHistogram().percentile(0.99)).toBe(0);
  });
});
