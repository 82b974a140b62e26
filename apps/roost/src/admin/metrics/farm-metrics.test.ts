import type { FarmMetrics, ProcessMetrics } from '@roost/farm';
import { expect, it } from 'vitest';
import { familiesOf } from './farm-metrics.ts';

const NOTHING: ProcessMetrics = { counters: {}, totals: {}, gauges: {}, histograms: {} };

function farmWith(counters: Readonly<Record<string, number>>): FarmMetrics {
  return {
    version: 'test',
    uptimeMs: 1000,
    broker: 'memory',
    isReady: true,
    maxConnections: 1000,
    master: { ...NOTHING, counters },
    workers: [],
    unanswered: [],
  };
}

it('counters of an application whose names differ in what Prometheus allows in none are one metric, and its series is there once', () => {
  const families = [...familiesOf(farmWith({ 'app_jobs.done': 2, 'app_jobs-done': 3, app_jobs: 7 }), [], 0)];
  const told = families.filter(({ name }) => name.startsWith('roost_app_jobs'));
  expect(told.map(({ name, values }) => [name, values])).toEqual([
    ['roost_app_jobs_done_total', [{ labels: { worker: 'master' }, value: 5 }]],
    ['roost_app_jobs_total', [{ labels: { worker: 'master' }, value: 7 }]],
  ]);
});
