import { readdirSync, readFileSync } from 'node:fs';
import { COUNTERS } from '@roost/farm';
import { describe, expect, it } from 'vitest';
import { COUNTER_GROUPS, isTold, TOLD_BY_WORKER } from './counter-metrics.ts';
import { documentedMetrics, metricReference } from './reference.ts';

const PAGE = new URL('../../../../../docs/reference/metrics.md', import.meta.url).pathname;
/** Base units, as Prometheus has them. */
const UNITS = ['seconds', 'bytes', 'ratio', 'info'];
/** What some of our own names, or of other exporters', have behind them where a unit would stand. */
const UNIT_WORDS = /_(?:ms|milliseconds|micros|kb|mb|kilobytes|megabytes|percent)(?:_|$)/;

/** Names of properties, in a type. */
const PICKED = /Pick<[^>]*>/g;

/** The counters that the sources of the master, or of a worker, name. */
function countersOf(process: 'master' | 'worker'): string[] {
  const folder = new URL(`../../../../../packages/farm/src/${process}/`, import.meta.url);
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => /(?<!\.test)\.ts$/.test(path) && !path.includes('fixtures/'))
    .map((path) => readFileSync(new URL(path, folder), 'utf8').replaceAll(PICKED, ''))
    .flatMap((source) => source.match(/(?<=')[a-z_]+(?=')/g) ?? []);
  return [...new Set(names)].filter((name) => Object.hasOwn(COUNTERS, name) && !TOLD_BY_WORKER.has(name));
}

describe('the metrics', () => {
  it('tell a counter from the start in every process that counts it, or its first increase would not be seen', () => {
    expect(countersOf('master')).toContain('reloads_stopped');
    expect(countersOf('master').filter((name) => !isTold(name, 0, true))).toEqual([]);
    expect(countersOf('worker')).toContain('moved_in');
    expect(countersOf('worker').filter((name) => !isTold(name, 0, false))).toEqual([]);
  });

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
