import { closeDescriptor } from '@roost/poller';
import { afterEach, describe, expect, it } from 'vitest';
import { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import type { MasterMessage } from '../../link/messages.ts';
import type { ThreadTimes } from '../workers/thread-times.ts';
import { Condemned } from './condemned.ts';
import { Moves, type MoveMessage, type MovingLife } from './moves.ts';

const silent = (): void => undefined;
const LOG: Log = { debug: silent, info: silent, warn: silent, error: silent, fatal: silent };

/** A life that keeps what it is told and given. */
class SeenLife implements MovingLife {
  readonly id: number;
  readonly index: number;
  readonly apps = [{ name: 'chat', version: '1' }];
  readonly pid = 1;
  hasProcess = true;
  state: MovingLife['state'] = 'ready';
  connections = 100;
  report: MovingLife['report'];
  readonly told: MasterMessage[] = [];
  readonly ends: number[] = [];
  readonly kills: string[] = [];

  constructor(id: number) {
    this.id = id;
    this.index = id;
  }

  send(message: MasterMessage): void {
    this.told.push(message);
  }

  givePair(_move: number, end: number): void {
    this.ends.push(end);
  }

  kill(reason: string): void {
    this.kills.push(reason);
  }
}

const LIMIT_MS = 5000;
const given: SeenLife[] = [];

afterEach(() => {
  for (const { ends } of given.splice(0)) for (const end of ends) closeDescriptor(end);
});

/** `thread`: what the kernel says of both. */
function rig(thread: ThreadTimes = { state: 'S', cpuMs: 5 }) {
  const counters = new Counters();
  const condemned = new Condemned(LIMIT_MS, () => thread);
  const shares: unknown[] = [];
  const pauses: number[] = [];
  const moves = new Moves(
    { moveBatchRows: 252, handOffTimeoutMs: LIMIT_MS },
    counters,
    LOG,
    {
      addressesMoved: (from, to, payload) => shares.push([from, to, payload.toString('hex')]),
      paused: (_target, rows, pauseMs) => pauses.push(rows, pauseMs),
    },
    condemned,
  );
  const source = new SeenLife(1);
  const target = new SeenLife(2);
  given.push(source, target);
  const progress: number[] = [];
  const result = moves.begin({
    source,
    target,
    rows: 'all',
    reason: 'reload',
    onMoved: (rows, pauseMs) => progress.push(rows, pauseMs),
  });
  const ended = (role: 'source' | 'target', facts: Partial<MoveMessage> = {}): void => {
    const message = {
      type: 'moveEnded',
      move: 1,
      role,
      reason: 'done',
      moved: 0,
      left: 3,
      closed: 0,
    } as const;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- facts are those of this message.
    moves.workerSaid(role === 'source' ? source : target, { ...message, ...facts } as MoveMessage);
  };
  return { moves, counters, shares, pauses, progress, source, target, result, ended };
}

/** Looks as the master does, for so long. */
function look(moves: Moves, ms: number): void {
  const now = performance.now();
  for (let passed = 0; passed <= ms; passed += 250) moves.look(now + passed, 0);
}

describe('a move', () => {
  it('gives each life an end of one pair, and tells both what they are in it', () => {
    const { source, target } = rig();
    expect([source.ends.length, target.ends.length]).toEqual([1, 1]);
    expect(source.ends[0]).not.toBe(target.ends[0]);
    expect(source.told).toEqual([{ type: 'move', move: 1, role: 'source', rows: 'all', batchRows: 252 }]);
    expect(target.told).toEqual([
      { type: 'move', move: 1, role: 'target', from: source.apps, reason: 'reload' },
    ]);
  });

  it('is over when both have left it, with what has moved and what is left', async () => {
    const { moves, counters, target, result, ended, progress, pauses, shares } = rig();
    const payload = Buffer.from('00', 'hex');
    const moved = { type: 'moved', move: 1, direction: 'in' } as const;
    moves.workerSaid(target, { ...moved, rows: 252, total: 252, pauseMs: 4, payload });
    moves.workerSaid(target, { ...moved, rows: 10, total: 262, pauseMs: 2, payload: Buffer.alloc(0) });
    ended('target');
    ended('source', { closed: 1 });
    expect(await result).toEqual({ reason: 'done', moved: 262, left: 3, closed: 1, unsaid: 0 });
    expect(progress).toEqual([252, 4, 10, 2]);
    expect(pauses).toEqual([252, 4, 10, 2]);
    expect(shares).toEqual([[1, 2, '00']]);
    expect([counters.get('moves'), counters.get('moves_stopped')]).toEqual([1, 0]);
  });

  it('ends for the reason of the source, or of the target when only that has one', async () => {
    const both = rig();
    both.ended('target', { reason: 'full' });
    both.ended('source', { reason: 'timeout' });
    expect((await both.result).reason).toBe('timeout');
    const one = rig();
    one.ended('source', { reason: 'stopped' });
    one.ended('target');
    expect((await one.result).reason).toBe('stopped');
    const refused = rig();
    refused.ended('target', { reason: 'attachment' });
    refused.ended('source', { reason: 'full' });
    expect((await refused.result).reason).toBe('attachment');
    expect(one.counters.get('moves_stopped')).toBe(1);
  });

  it('knows a broker that is away from one that is there and takes no marks', async () => {
    const away = rig();
    away.source.report = { broker: { state: 'ready' } };
    away.target.report = { broker: { state: 'connecting' } };
    away.ended('source', { reason: 'broker' });
    away.ended('target');
    expect((await away.result).reason).toBe('broker');
    const there = rig();
    there.source.report = there.target.report = { broker: { state: 'ready' } };
    there.ended('source', { reason: 'broker' });
    there.ended('target');
    expect((await there.result).reason).toBe('marks');
  });

  it('tells the side that lives when the other has died, and ends with it', async () => {
    const { moves, source, target, result, ended } = rig();
    moves.workerEnded(target);
    expect(source.told.at(-1)).toEqual({ type: 'moveDead', move: 1, side: 'target' });
    ended('source', { reason: 'dead', left: 100 });
    expect(await result).toEqual({ reason: 'dead', moved: 0, left: 100, closed: 0, unsaid: 0 });
  });

  it('has nothing left at a source that has died', async () => {
    const { moves, source, target, result, ended } = rig();
    moves.workerEnded(source);
    expect(target.told.at(-1)).toEqual({ type: 'moveDead', move: 1, side: 'source' });
    ended('target', { reason: 'dead' });
    expect(await result).toMatchObject({ reason: 'dead', left: 0 });
  });

  it('knows what one side has said of it and the other has not lived to say', async () => {
    const out = { type: 'moved', move: 1, direction: 'out', rows: 10, total: 10 } as const;
    const come = {
      ...out,
      direction: 'in',
      rows: 10,
      total: 10,
      pauseMs: 1,
      payload: Buffer.alloc(0),
    } as const;
    const first = rig();
    first.moves.workerSaid(first.target, come);
    first.moves.workerSaid(first.source, out);
    first.moves.workerSaid(first.target, { ...come, rows: 4, total: 14 });
    first.moves.workerEnded(first.source);
    first.ended('target', { reason: 'dead' });
    expect(await first.result).toMatchObject({ moved: 14, unsaid: 4 });
    const second = rig();
    second.moves.workerSaid(second.source, out);
    second.moves.workerEnded(second.target);
    second.ended('source', { reason: 'dead', left: 90 });
    expect(await second.result).toMatchObject({ moved: 0, unsaid: -10 });
  });

  it('kills the side that does not answer the other, and only that, when it is to blame', () => {
    const { moves, source, target } = rig();
    moves.workerSaid(source, { type: 'moveNeedsDeath', move: 1, side: 'target' });
    moves.workerSaid(target, { type: 'moveNeedsDeath', move: 1, side: 'source' });
    look(moves, LIMIT_MS - 250);
    expect([source.kills.length, target.kills.length]).toEqual([0, 0]);
    look(moves, LIMIT_MS + 500);
    expect(source.kills).toEqual([]);
    expect(target.kills.length).toBeGreaterThan(0);
  });

  it('spares a side that would answer and has no CPU', () => {
    const { moves, source, target } = rig({ state: 'R', cpuMs: 5 });
    moves.workerSaid(source, { type: 'moveNeedsDeath', move: 1, side: 'target' });
    look(moves, 10 * LIMIT_MS);
    expect(target.kills).toEqual([]);
  });

  it('spares a side that has answered after all, so that the move has ended', async () => {
    const { moves, source, target, ended, result } = rig();
    moves.workerSaid(source, { type: 'moveNeedsDeath', move: 1, side: 'target' });
    ended('source', { reason: 'timeout' });
    ended('target');
    expect((await result).reason).toBe('timeout');
    look(moves, 10 * LIMIT_MS);
    expect(target.kills).toEqual([]);
  });

  it('is not begun with a life that is over', async () => {
    const { moves, source } = rig();
    const dead = new SeenLife(3);
    dead.hasProcess = false;
    const result = await moves.begin({ source, target: dead, rows: 16, reason: 'rebalance' });
    expect(result).toMatchObject({ reason: 'dead', moved: 0, left: 100 });
    expect(dead.told).toEqual([]);
  });

  it('is not begun with a life that drains', async () => {
    const { moves, source } = rig();
    const other = new SeenLife(3);
    other.state = 'draining';
    const stopped = { reason: 'stopped', moved: 0, left: 100, closed: 0, unsaid: 0 };
    expect(await moves.begin({ source, target: other, rows: 16, reason: 'reload' })).toEqual(stopped);
    expect(await moves.begin({ source: other, target: source, rows: 16, reason: 'reload' })).toEqual(stopped);
    expect(other.told).toEqual([]);
  });

  it('is told to stop when the farm drains', () => {
    const { moves, source, target } = rig();
    moves.stop();
    expect(source.told.at(-1)).toEqual({ type: 'moveStop', move: 1 });
    expect(target.told).toHaveLength(1);
  });
});
