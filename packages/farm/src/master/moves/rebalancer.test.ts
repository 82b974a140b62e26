import { eventually } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { ChangedFarm } from '../fixtures/changed-farm.ts';
import { Rebalancer, type RebalancerParts } from './rebalancer.ts';

const SECOND = 1000;

/** A rebalancer whose clock is the spec's. */
function rig(farm: ChangedFarm, config: Partial<RebalancerParts['config']> = {}) {
  const { guard, moves, places } = farm.parts();
  const state = { isQuiet: true, stops: 0 };
  const rebalancer = new Rebalancer({
    config: { rebalanceSkew: 0.1, rebalanceRate: 50, maxMovesPerMinute: 60_000, ...config },
    guard,
    moves: { begin: (wish) => moves.begin(wish), stop: () => void state.stops++ },
    places,
    isQuiet: () => state.isQuiet,
  });
  /** Looks every second, and lets each move end. */
  const run = async (fromSecond: number, toSecond: number): Promise<void> => {
    for (let second = fromSecond; second < toSecond; second++) {
      rebalancer.look(second * SECOND);
      await new Promise(setImmediate);
    }
  };
  return { rebalancer, run, state };
}

describe('the rebalancer', () => {
  it('moves rebalanceRate connections in a second, and maxMovesPerMinute in a minute', async () => {
    const farm = new ChangedFarm(4000, 0);
    const { run } = rig(farm, { rebalanceRate: 50, maxMovesPerMinute: 120 });
    await run(1, 40);
    expect(farm.moves.map(({ rows }) => rows)).toEqual([50, 50, 20]);
    await run(40, 61);
    expect(farm.moves.map(({ rows }) => rows)).toEqual([50, 50, 20, 50]);
  });

  it('fills a worker that was started again ten times as fast, when it has lived for 5 s', async () => {
    const farm = new ChangedFarm(4000, 0);
    const { rebalancer, run } = rig(farm, { rebalanceSkew: 0 });
    rebalancer.refill(farm.place(1));
    await run(1, 6);
    expect(farm.moves).toEqual([]);
    await run(6, 8);
    expect(farm.moves.map(({ rows }) => rows)).toEqual([500, 500]);
    await run(8, 60);
    expect(farm.places.map(({ current }) => current.connections)).toEqual([2000, 2000]);
  });

  it('tries less and less often where nothing can move, down to once a minute, until something has', async () => {
    const farm = new ChangedFarm(4000, 0);
    const { rebalancer, run } = rig(farm, { rebalanceSkew: 0 });
    rebalancer.refill(farm.place(1));
    let canMove = false;
    const moved = farm.outcome;
    farm.outcome = (wish) => (canMove ? moved(wish) : Promise.resolve({ reason: 'empty', moved: 0 }));
    const triedAt: number[] = [];
    const lookUntil = async (fromSecond: number, toSecond: number): Promise<void> => {
      for (let second = fromSecond; second < toSecond; second++) {
        const before = farm.moves.length;
        await run(second, second + 1);
        if (farm.moves.length > before) triedAt.push(second);
      }
    };
    await lookUntil(1, 250);
    expect(triedAt).toEqual([6, 8, 12, 20, 36, 68, 128, 188, 248]);
    canMove = true;
    await lookUntil(250, 312);
    expect(triedAt.slice(9)).toEqual([308, 309, 310, 311]);
  });

  it('does nothing while the farm is not ready, or is being changed', async () => {
    const farm = new ChangedFarm(4000, 0);
    const { rebalancer, run, state } = rig(farm);
    state.isQuiet = false;
    await run(1, 60);
    state.isQuiet = true;
    await rebalancer.pause();
    await run(60, 120);
    expect(farm.moves).toEqual([]);
    rebalancer.resume();
    await run(120, 160);
    expect(farm.moves.length).toBeGreaterThan(0);
  });

  it('has a move that is under way end before the farm is changed', async () => {
    const farm = new ChangedFarm(4000, 0);
    const { rebalancer, run, state } = rig(farm);
    let end: (() => void) | undefined;
    farm.outcome = () =>
      new Promise((resolve) => {
        end = () => resolve({ reason: 'stopped', moved: 3 });
      });
    await run(1, 33);
    await eventually(() => end !== undefined);
    let isPaused = false;
    const pause = rebalancer.pause().finally(() => {
      isPaused = true;
    });
    await new Promise(setImmediate);
    expect([isPaused, state.stops]).toEqual([false, 1]);
    end?.();
    await pause;
    expect(isPaused).toBe(true);
  });
});
