import { describe, expect, it } from 'vitest';
import { Pauses } from './pauses.ts';

describe('the pauses of connections that moved', () => {
  it('are 0 when none has moved', () => {
    const pauses = new Pauses();
    expect([pauses.p99Ms, pauses.maxMs]).toEqual([0, 0]);
  });

  it('count by connections, to within a fifth, and never above the longest', () => {
    const pauses = new Pauses();
    pauses.record(5, 990);
    pauses.record(700, 10);
    expect(pauses.p99Ms).toBeGreaterThanOrEqual(5);
    expect(pauses.p99Ms).toBeLessThan(6);
    pauses.record(700, 10);
    expect(pauses.p99Ms).toBe(700);
    expect(pauses.maxMs).toBe(700);
  });

  it('have room for the longest of all', () => {
    const pauses = new Pauses();
    pauses.record(1e9, 1);
    expect(pauses.p99Ms).toBeLessThanOrEqual(1e9);
    expect(pauses.maxMs).toBe(1e9);
  });
});
