import { COUNTERS } from '@roost/farm';
import { describe, expect, it } from 'vitest';
import { COUNTER_GROUPS } from './counter-metrics.ts';
import { documentedMetrics, metricReference } from './reference.ts';

const PAGE = new URL('../../../../../docs/reference/metrics.md', import.meta.url).pathname;
/** Base units, as Prometheus has them. */
const UNITS = ['seconds', 'bytes', 'ratio', 'info'];
/** What some of our own names, or of other exporters', have behind them where a unit would stand. */
const UNIT_WORDS = /_(?:ms|milliseconds|micros|kb|mb|kilobytes|megabytes|percent)(?:_|$)/;

describe('the metrics', () => {
  it('are what docs/reference/metrics.md lists', async () => {
    await expect(metricReference()).toMatchFileSnapshot(PAGE);
  });

  it('have names after the conventions of Prometheus: base units, and _total for counters', () => {
    expect(documentedMetrics().length).toBeGreaterThan(80);
    for (const { name, type, help, labels } of documentedMetrics()) {
      expect(name).toMatch(/^roost(_[a-z0-9]+)+$/);
      expect(name, name).not.toMatch(UNIT_WORDS);
      expect(name.endsWith('_total'), name).toBe(type === 'counter');
      if (type === 'histogram') expect(UNITS).toContain(name.split('_').at(-1));
      expect(name, name).not.toMatch(/_(?:count|sum|bucket)$/);
      expect(help, name).toMatch(/^.+\.$/);
      for (const label of labels) expect(label).toMatch(/^[a-z]+$/);
      expect(labels, name).not.toContain('le');
    }
  });

  it('have each counter once, whether alone or in a group', () => {
    const grouped = COUNTER_GROUPS.flatMap(({ members }) => Object.keys(members));
    expect(new Set(grouped).size).toBe(grouped.length);
    for (const counter of grouped) expect(Object.keys(COUNTERS)).toContain(counter);
    for (const { members } of COUNTER_GROUPS) {
      const values = Object.values(members);
      expect(new Set(values).size).toBe(values.length);
    }
    const names = documentedMetrics().map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});
