import { describe, expect, it } from 'vitest';
import type { WorkerReport } from '../../link/worker-report.ts';
import { readinessOf } from './readiness.ts';

function report(state: string, reason = ''): WorkerReport {
  return { connections: 0, subscriptions: 0, outboundBytes: 0, broker: { state, reason }, counters: {} };
}
const READY = { state: 'ready', report: report('ready') } as const;

describe('a farm', () => {
  it('is ready when a worker is', () => {
    expect(readinessOf('running', [READY, { state: 'failed', report: undefined }])).toEqual({
      ready: true,
      reasons: [],
    });
    expect(readinessOf('running', [{ state: 'ready', report: undefined }]).ready).toBe(true);
  });

  it('is not ready without a worker', () => {
    expect(readinessOf('running', [{ state: 'failed', report: undefined }])).toEqual({
      ready: false,
      reasons: ['No worker is ready.'],
    });
  });

  it.each(['starting', 'draining', 'stopped'] as const)('that is %s is not ready, and says so', (state) => {
    expect(readinessOf(state, [READY])).toEqual({ ready: false, reasons: [`The farm is ${state}.`] });
  });

  it('is not ready when a worker has lost its broker, which is told once and without its address', () => {
    const away = { state: 'ready', report: report('away', 'Redis at redis://inside:6379 is away.') } as const;
    expect(readinessOf('running', [READY, away, away])).toEqual({
      ready: false,
      reasons: ['The broker is away.'],
    });
  });
});
