import { describe, expect, it } from 'vitest';
import { addedHistograms, Histogram, HISTOGRAMS } from './histograms.ts';

describe('a histogram', () => {
  it('counts a value in the first bucket that reaches to it, and what is beyond in the last', () => {
    const histogram = new Histogram('handoff_duration_seconds');
    for (const value of [0, 0.0001, 0.00011, 0.3, 10, 10.1, 4000]) histogram.record(value);
    const { counts, sum } = histogram.values;
    expect(counts).toEqual([2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2]);
    expect(counts).toHaveLength(HISTOGRAMS.handoff_duration_seconds.bounds.length + 1);
    expect(sum).toBeCloseTo(4020.40021, 9);
  });

  it('counts several observations of one value at once', () => {
    const histogram = new Histogram('broadcast_duration_seconds');
    histogram.record(0.5, 64);
    expect(histogram.values.sum).toBe(32);
    expect(histogram.values.counts.indexOf(64)).toBe(
      HISTOGRAMS.broadcast_duration_seconds.bounds.indexOf(0.5),
    );
  });

  it('adds up with another bucket by bucket', () => {
    const [one, other] = [new Histogram('gc_major_seconds'), new Histogram('gc_major_seconds')];
    one.record(0.25);
    other.record(0.25);
    other.record(3);
    expect(addedHistograms(one.values, other.values)).toEqual({
      counts: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0],
      sum: 3.5,
    });
    expect(addedHistograms(undefined, one.values)).toEqual(one.values);
  });
});

describe('the histograms', () => {
  it('have names that end with their unit, meanings that are sentences, and bounds that grow', () => {
    for (const [name, { meaning, bounds }] of Object.entries(HISTOGRAMS)) {
      expect(name).toMatch(/^[a-z]+(_[a-z]+)*_seconds$/);
      expect(meaning, name).toMatch(/^[A-Z].*\.$/);
      expect(
        bounds.toSorted((a, b) => a - b),
        name,
      ).toEqual(bounds);
    }
  });
});
