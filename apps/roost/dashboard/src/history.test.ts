import { describe, expect, it } from 'vitest';
import type { Overview } from '../../src/admin/answers.ts';
import { History } from './history.ts';

const NOTHING = { bounds: [1], counts: [0, 0] };

function overview(at: number, uptimeMs: number, upgrades: number, busySeconds = 0): Overview {
  return {
    at,
    version: 'test',
    uptimeMs,
    isReady: true,
    reasons: [],
    broker: 'memory',
    unanswered: [],
    workers: [
      {
        worker: 0,
        pid: 1,
        cpu: 0,
        state: 'ready',
        restarts: 0,
        connections: upgrades,
        capacity: 10,
        subscriptions: 0,
        channels: 0,
        queueBytes: 7,
        residentBytes: 0,
        descriptors: 0,
        isBrokerReady: true,
        busySeconds,
      },
    ],
    totals: {
      opened: upgrades,
      closed: 0,
      refused: 0,
      messagesReceived: 0,
      messagesSent: 0,
      publications: 0,
      deliveries: 0,
      receivedBytes: 0,
      sentBytes: 0,
      dropped: 0,
    },
    histograms: {
      broadcast: { bounds: [1], counts: [upgrades, 0] },
      loopDelay: NOTHING,
      handOff: NOTHING,
      rtt: NOTHING,
    },
  };
}

describe('the history', () => {
  it('has what is at a moment, and what happened since the one before by second', () => {
    const history = new History();
    expect(history.add(overview(1000, 100, 4)).values).toEqual({
      connections: 4,
      queueBytes: 7,
      'connections 0': 4,
    });
    expect(history.add(overview(3000, 2100, 10, 0.5)).values).toMatchObject({
      connections: 10,
      opened: 3,
      closed: 0,
      'broadcast p50': 0.5,
      'loopDelay p99': null,
      'busy 0': 0.25,
    });
    expect(history.columns(['opened', 'unknown'])).toEqual([
      [1, 3],
      [null, 3],
      [null, null],
    ]);
  });

  it('begins anew with another farm, which counts from 0', () => {
    const history = new History();
    history.add(overview(1000, 50_000, 4000));
    expect(history.add(overview(2000, 10, 3)).values['opened']).toBeUndefined();
    expect(history.add(overview(3000, 1010, 5)).values['opened']).toBe(2);
  });

  it('has one point of what was looked at twice', () => {
    const history = new History();
    history.add(overview(1000, 100, 4));
    const point = history.add(overview(3000, 2100, 10));
    expect(history.add(overview(3000, 2100, 10))).toBe(point);
    expect(history.points).toHaveLength(2);
  });

  it('keeps ten minutes', () => {
    const history = new History();
    for (let second = 1; second <= 700; second++) history.add(overview(second * 1000, second * 1000, 0));
    expect([history.points.length, history.points[0]?.at]).toEqual([600, 101]);
  });
});
