import { describe, expect, it } from 'vitest';
import { Latencies } from './latencies.ts';

describe('Latencies', () => {
  it('knows percentiles within a hundredth', () => {
    const latencies = new Latencies();
    for (let micros = 1; micros <= 100_000; micros++) latencies.record(micros);
    const { count, p50, p90, p99, p999, max } = latencies.summary();
    expect(count).toBe(100_000);
    for (const [actual, exact] of [
      [p50, 50],
      [p90, 90],
      [p99, 99],
      [p999, 99.9],
      [max, 100],
    ] as const) {
      expect(actual).toBeGreaterThanOrEqual(exact);
      expect(actual).toBeLessThanOrEqual(exact * 1.01);
    }
  });

  it('of several processes add up to those of one', () => {
    const [one, other, both, merged] = [new Latencies(), new Latencies(), new Latencies(), new Latencies()];
    for (let index = 0; index < 5000; index++) {
      const micros = (index * 7919) % 1_000_003;
      (index % 3 === 0 ? one : other).record(micros);
      both.record(micros);
    }
    merged.add(one.encode());
    merged.add(other.encode());
    const { max, ...percentiles } = both.summary();
    // The largest is kept to its bucket only.
    expect(merged.summary()).toMatchObject(percentiles);
    expect(merged.summary().max / max).toBeCloseTo(1, 1);
  });

  it('are zeros without any, and an hour at most', () => {
    const latencies = new Latencies();
    expect(latencies.summary()).toEqual({ count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 });
    latencies.record(1e12);
    latencies.record(-5);
    expect(latencies.summary().count).toBe(2);
    expect(latencies.summary().max).toBeGreaterThanOrEqual(3_600_000);
    latencies.reset();
    expect(latencies.count).toBe(0);
  });
});
