import { describe, expect, it } from 'vitest';
import { age, bytes, count, duration, percent } from './units.ts';

describe('numbers for people', () => {
  it('have few characters', () => {
    expect([0, 7.25, 1234, 12_345, 2_500_000, null].map(count)).toEqual([
      '0',
      '7.3',
      '1,234',
      '12.3 k',
      '2.50 M',
      '–',
    ]);
    expect([12, 1500, 2_500_000, 3e9].map(bytes)).toEqual(['12 B', '1.5 KB', '2.5 MB', '3.00 GB']);
    expect([0.00025, 0.0123, 1.5, undefined].map(duration)).toEqual(['250 µs', '12.3 ms', '1.50 s', '–']);
    expect([0, 0.256, 1].map(percent)).toEqual(['0 %', '26 %', '100 %']);
    expect([0, 59_000, 61_000, 90_061_000].map(age)).toEqual(['0 s', '59 s', '1 min 1 s', '1 d 1 h']);
  });

  it('differ where the ticks of an axis do', () => {
    expect([0, 0.005, 0.01, 0.015].map(percent)).toEqual(['0 %', '0.5 %', '1 %', '1.5 %']);
    expect([0, 0.5, 1].map(bytes)).toEqual(['0 B', '0.5 B', '1 B']);
  });
});
