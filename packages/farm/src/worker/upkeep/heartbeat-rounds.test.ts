import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import { Clock, TICKS_PER_SECOND } from '../rows/clock.ts';
import { ConnectionTable, RowState } from '../rows/connection-table.ts';
import { Rows } from '../rows/rows.ts';
import { Heartbeat } from './heartbeat.ts';

const HEARTBEAT_MS = 8000;
const TIMEOUT_MS = 8000;
const ROUND_MS = 1000;
const ROWS = 1000;

const started: Heartbeat[] = [];
const silence = (): void => {};
const log: Log = { debug: silence, info: silence, warn: silence, error: silence, fatal: silence };
beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance'],
  });
});
afterEach(() => {
  for (const heartbeat of started.splice(0)) heartbeat.stop();
  vi.useRealTimers();
});

/** A heartbeat over rows that are open, whose clock and whose broadcasts the test decides. */
function start(rowCount = 1) {
  const table = new ConnectionTable(ROWS);
  const counters = new Counters();
  const rows = new Rows(table, counters);
  const slots = Array.from({ length: rowCount }, () => {
    const slot = table.allocate(-1, 1, new Uint8Array(16), 0);
    rows.enter(slot, RowState.open);
    return slot;
  });
  rows.connect([], { rowOnEnding: () => undefined, rowOnEnd: () => {} });
  const clock = new Clock();
  clock.refresh = silence;
  const broadcaster = { queuedBytes: 0 };
  const pinged: number[] = [];
  const heartbeat = new Heartbeat({
    config: { heartbeatMs: HEARTBEAT_MS, heartbeatTimeoutMs: TIMEOUT_MS },
    table,
    rows,
    clock,
    counters,
    log,
    apps: { heartbeatOf: () => undefined, closeReplacementOf: () => undefined },
    outbound: { send: (slot: number) => pinged.push(slot) > 0, sendChunk: () => true },
    broadcaster,
  });
  started.push(heartbeat);
  /** The clock goes on by so much, and one round follows. */
  const round = (ms: number): void => {
    clock.now += (ms * TICKS_PER_SECOND) / 1000;
    vi.advanceTimersByTime(ROUND_MS);
  };
  return { table, slots, counters, clock, broadcaster, pinged, round };
}

describe('the rounds of the heartbeat', () => {
  it('do not end a client that has answered, when they are further apart than pings', () => {
    const { table, slots, counters, clock, pinged, round } = start();
    const [slot = -1] = slots;
    for (let beat = 1; beat <= 4; beat++) {
      round(HEARTBEAT_MS + 1000);
      expect(pinged).toHaveLength(beat);
      table.heard(slot, clock.now);
    }
    expect(counters.snapshot()['closed_heartbeat']).toBe(0);
    expect(table.state(slot)).toBe(RowState.open);
  });

  it('end a client that has not, once its time is over', () => {
    const { table, slots, pinged, round } = start();
    const [slot = -1] = slots;
    round(HEARTBEAT_MS + 1000);
    round(TIMEOUT_MS);
    expect(pinged).toHaveLength(1);
    expect(table.state(slot)).toBe(RowState.open);
    round(1000);
    expect(table.state(slot)).toBe(RowState.free);
  });

  it('wait while a broadcast does, for half of heartbeatMs at most', () => {
    const { broadcaster, pinged, round } = start();
    broadcaster.queuedBytes = 1;
    round(HEARTBEAT_MS + 1000);
    vi.advanceTimersByTime(HEARTBEAT_MS / 2 - ROUND_MS);
    expect(pinged).toHaveLength(0);
    vi.advanceTimersByTime(ROUND_MS);
    expect(pinged).toHaveLength(1);
  });

  it('go on as soon as the broadcast is over', () => {
    const { broadcaster, pinged, round } = start();
    broadcaster.queuedBytes = 1;
    round(HEARTBEAT_MS + 1000);
    expect(pinged).toHaveLength(0);
    broadcaster.queuedBytes = 0;
    vi.advanceTimersByTime(50);
    expect(pinged).toHaveLength(1);
  });

  it('send some pings at a time, and let other events be handled between', () => {
    const { pinged, clock } = start(ROWS);
    clock.now += ((HEARTBEAT_MS + 1000) * TICKS_PER_SECOND) / 1000;
    vi.advanceTimersToNextTimer();
    const inOneSlice = pinged.length;
    expect(inOneSlice).toBeGreaterThan(0);
    expect(inOneSlice).toBeLessThanOrEqual(32);
    for (let slices = 1; slices < ROWS / inOneSlice; slices++) vi.advanceTimersToNextTimer();
    expect(pinged).toHaveLength(ROWS);
  });
});
