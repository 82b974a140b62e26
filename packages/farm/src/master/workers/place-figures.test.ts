import { describe, expect, it } from 'vitest';
import type { WorkerReport } from '../../link/worker-report.ts';
import type { WorkerMeasured } from '../../link/questions.ts';
import { LifeFigures, PlaceFigures } from './place-figures.ts';
import { Histogram } from '../../api/histograms.ts';

function report(upgrades: number): WorkerReport {
  return {
    connections: 1,
    subscriptions: 0,
    outboundBytes: 0,
    broker: { state: 'ready', reason: '' },
    counters: { upgrades, app_orders: 1 },
  };
}

function measured(bytes: number): WorkerMeasured {
  return {
    totals: { sent_bytes: bytes },
    gauges: { descriptors: 20 },
    histograms: { broadcast_duration_seconds: { counts: [bytes, 1], sum: 0.5 } },
    connections: { echo: 1 },
    sockets: { open: 1 },
    closes: { 1000: 2 },
  };
}

describe('the figures of a place for a worker', () => {
  it('are those of the living worker, and what others before it had said last', () => {
    const handOffs = new Histogram('handoff_duration_seconds');
    const figures = new PlaceFigures({ handoff_duration_seconds: handOffs });
    const first = new LifeFigures();
    figures.begin(first);
    first.reported(report(5));
    first.answered({ kind: 'metrics', report: report(6), measured: measured(100) });
    first.end();
    // Last words.
    first.reported(report(7));
    const second = new LifeFigures();
    figures.begin(second);
    second.reported(report(3));
    expect(figures.counters).toEqual({ upgrades: 10, app_orders: 2 });
    second.answered({ kind: 'metrics', report: report(4), measured: measured(11) });
    handOffs.record(0.2, 3);
    expect(figures.metrics).toMatchObject({
      counters: { upgrades: 11, app_orders: 2 },
      totals: { sent_bytes: 111 },
      histograms: { broadcast_duration_seconds: { counts: [111, 2], sum: 1 } },
      closes: { 1000: 4 },
      gauges: { descriptors: 20 },
      connections: { echo: 1 },
    });
    expect(figures.metrics.histograms.handoff_duration_seconds?.sum).toBeCloseTo(0.6);
  });

  it('never shrink when a worker dies, and forget what was only true of it', () => {
    const figures = new PlaceFigures({});
    const life = new LifeFigures();
    figures.begin(life);
    life.answered({ kind: 'metrics', report: report(7), measured: measured(100) });
    const before = figures.metrics;
    life.end();
    figures.begin(new LifeFigures());
    const { gauges, sockets, connections, ...growing } = figures.metrics;
    expect(growing).toEqual({
      counters: before.counters,
      totals: before.totals,
      histograms: before.histograms,
      closes: before.closes,
    });
    expect([gauges, sockets, connections]).toEqual([{}, {}, {}]);
  });

  it('are sums while two lives share a place', () => {
    const figures = new PlaceFigures({});
    const lives = [new LifeFigures(), new LifeFigures()];
    for (const life of lives) {
      figures.begin(life);
      life.answered({ kind: 'metrics', report: report(7), measured: measured(100) });
    }
    expect(figures.sizes.connections).toBe(2);
    expect(figures.metrics).toMatchObject({
      counters: { upgrades: 14 },
      totals: { sent_bytes: 200 },
      connections: { echo: 2 },
      sockets: { open: 2 },
      gauges: { descriptors: 20 },
    });
  });
});
