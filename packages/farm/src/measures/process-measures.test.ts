import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { eventually } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HistogramValues } from '../api/histograms.ts';
import { ProcessMeasures } from './process-measures.ts';

let measures: ProcessMeasures;
beforeEach(() => {
  measures = new ProcessMeasures();
  measures.read(0);
});
afterEach(() => measures.stop());

function countOf(values: HistogramValues | undefined): number {
  return values?.counts.reduce((sum, count) => sum + count) ?? Number.NaN;
}

describe('what a process measures of itself', () => {
  it('is how late the event loop is, from the first reading on', async () => {
    expect(countOf(measures.read(0).histograms.event_loop_delay_seconds)).toBe(0);
    const endsAt = performance.now() + 300;
    while (performance.now() < endsAt);
    await eventually(() => countOf(measures.read(0).histograms.event_loop_delay_seconds) > 0, {
      what: 'the timer has run',
    });
    // It was due after 100 ms of the 300.
    expect(measures.read(0).histograms.event_loop_delay_seconds?.sum).toBeGreaterThan(0.19);
  });

  it('is the pauses of its garbage collector', async () => {
    const before = countOf(measures.read(0).histograms.gc_major_seconds);
    setFlagsFromString('--expose-gc');
    runInNewContext('gc')();
    await eventually(() => countOf(measures.read(0).histograms.gc_major_seconds) > before, {
      what: 'a collection is observed',
    });
    expect(measures.read(0).histograms.gc_major_seconds?.sum).toBeGreaterThan(0);
  });

  it('is CPU time that only grows, and memory', () => {
    const one = measures.read(0);
    const endsAt = performance.now() + 20;
    while (performance.now() < endsAt);
    const other = measures.read(0);
    expect(other.totals.cpu_user_seconds).toBeGreaterThan(one.totals.cpu_user_seconds ?? 0);
    expect(other.gauges.resident_bytes).toBeGreaterThan(10e6);
  });
});
