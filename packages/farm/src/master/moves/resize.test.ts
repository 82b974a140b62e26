import { eventually, within } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { ChangedFarm } from '../fixtures/changed-farm.ts';
import { rollBack, startCanary } from './canary.ts';
import { ChangeTally } from './change-tally.ts';
import { evenOut } from './even.ts';
import { resize } from './resize.ts';

const tally = (): ChangeTally => new ChangeTally('workers');

/** Does it with workers that start, and go, when they are asked to. */
async function done<T>(farm: ChangedFarm, change: Promise<T>): Promise<T> {
  let isDone = false;
  void change.finally(() => {
    isDone = true;
  });
  await eventually(() => {
    for (const life of farm.started) {
      if (life.state === 'starting') farm.serves(life);
      else if (life.state === 'draining') farm.dies(life);
    }
    return isDone;
  });
  return change;
}

function counts(farm: ChangedFarm): number[] {
  return farm.places.map(({ current }) => current.connections);
}

describe('another number of workers', () => {
  it('fills new ones until all have as many', async () => {
    const farm = new ChangedFarm(600, 600);
    expect(await done(farm, resize(farm.parts(), tally(), 6))).toBeUndefined();
    expect(counts(farm)).toEqual([200, 200, 200, 200, 200, 200]);
  });

  it('empties the last ones before they go, evenly', async () => {
    const farm = new ChangedFarm(100, 100, 100, 100);
    expect(await done(farm, resize(farm.parts(), tally(), 2))).toBeUndefined();
    expect(counts(farm)).toEqual([200, 200]);
    // None has moved twice.
    expect(farm.moves.every(({ to }) => to < 2)).toBe(true);
  });

  it.each([2, 3])('closes what cannot move, as a reload does, also with %i workers left', async (count) => {
    const farm = new ChangedFarm(...Array.from({ length: count }, () => 100), 100);
    farm.outcome = () => ({ reason: 'empty' });
    expect(await done(farm, resize(farm.parts(), tally(), count))).toBeUndefined();
    expect(farm.moves.map(({ rows }) => rows)).toEqual([expect.any(Number), 'all']);
    expect(counts(farm)).toEqual(Array.from({ length: count }, () => 100));
  });

  it('gives up, and keeps the worker, when the others have no room', async () => {
    const farm = new ChangedFarm(9990, 100);
    expect(await done(farm, resize(farm.parts(), tally(), 1))).toBe(
      'Worker 1: the others have no room for its connections.',
    );
    expect(counts(farm)).toEqual([10_000, 90]);
    expect(farm.places[1]?.current.admits()).toBe(true);
  });

  it('takes back a worker that does not start, and those behind it', async () => {
    const farm = new ChangedFarm(600);
    const change = resize(farm.parts(), tally(), 3);
    await eventually(() => farm.started.length === 3);
    farm.dies(farm.started[1]);
    expect(await done(farm, change)).toMatch(/^Worker 1 did not start: it exited/);
    expect(counts(farm)).toEqual([600]);
  });

  it('moves back what others have got by the time that one does not start', async () => {
    const farm = new ChangedFarm(600);
    const change = resize(farm.parts(), tally(), 3);
    await eventually(() => farm.started.length === 3);
    farm.serves(farm.started[2]);
    farm.started.at(2)!.connections = 50;
    farm.dies(farm.started[1]);
    expect(await done(farm, change)).toMatch(/^Worker 1 did not start: it exited/);
    expect(counts(farm)).toEqual([650]);
  });

  it('moves nothing to a worker that was started again in a place that is to go', async () => {
    const farm = new ChangedFarm(100, 100, 100);
    farm.outcome = () => {
      if (farm.moves.length > 1) return {};
      farm.dies(farm.started[1]);
      farm.serves(farm.places.at(1)!.startAgain());
      return { reason: 'timeout' };
    };
    expect(await done(farm, resize(farm.parts(), tally(), 1))).toBeUndefined();
    expect(farm.moves.map(({ to }) => to)).not.toContain(3);
    expect(counts(farm)).toEqual([200]);
  });

  it('leaves it to workers that drain how they end', async () => {
    const farm = new ChangedFarm(100, 100);
    farm.outcome = () => {
      for (const life of farm.started) life.state = 'draining';
      return { reason: 'stopped' };
    };
    const change = resize(farm.parts(), tally(), 1);
    await eventually(() => farm.moves.length === 1);
    await new Promise(setImmediate);
    expect(farm.started.map(({ state }) => state)).toEqual(['draining', 'draining']);
    farm.dies(farm.started[1]);
    await change;
  });
});

describe('a rebalance', () => {
  it('gives up when nothing moves, and says so', async () => {
    const farm = new ChangedFarm(600, 0);
    farm.outcome = () => ({ reason: 'timeout' });
    expect(await evenOut(farm.parts(), tally())).toContain('cannot move now');
    expect(farm.moves).toHaveLength(3);
  });

  it('moves nothing where all have as many', async () => {
    const farm = new ChangedFarm(600, 600);
    expect(await evenOut(farm.parts(), tally())).toBeUndefined();
    expect(farm.moves).toEqual([]);
  });
});

describe('a canary', () => {
  it('gets its share of every worker, to 0.5 %, and of new connections as many as keep it', async () => {
    const farm = new ChangedFarm(1000, 3000);
    const canary = await done(farm, startCanary(farm.parts(), tally(), 0.05));
    expect(typeof canary).toBe('object');
    const life = farm.started.at(2)!;
    expect(life.connections).toBe(200);
    expect(counts(farm)).toEqual([950, 2850]);
    expect(life.admits()).toBe(false);
    life.connections = 190;
    expect(life.admits()).toBe(true);
  });

  it('gives back all that it has, and goes', async () => {
    const farm = new ChangedFarm(1000, 3000);
    const parts = farm.parts();
    const canary = await done(farm, startCanary(parts, tally(), 0.05));
    if (typeof canary === 'string') throw new Error(canary);
    expect(await done(farm, rollBack(canary, parts, tally()))).toBeUndefined();
    expect(counts(farm).reduce((sum, count) => sum + count, 0)).toBe(4000);
    expect(farm.lives).toHaveLength(2);
  });

  it('that does not start costs nothing', async () => {
    const farm = new ChangedFarm(1000);
    const change = startCanary(farm.parts(), tally(), 0.05);
    await eventually(() => farm.started.length === 2);
    farm.dies(farm.started[1]);
    expect(await change).toMatch(/^The canary did not start: /);
    expect(counts(farm)).toEqual([1000]);
  });

  it('that takes the place of a worker that dies meanwhile gets all new connections there', async () => {
    const farm = new ChangedFarm(1000);
    farm.outcome = () => {
      const [old, life] = [farm.started.at(0)!, farm.started.at(1)!];
      farm.dies(old);
      farm.places[0]?.succeed(life);
      return { reason: 'dead' };
    };
    await done(farm, startCanary(farm.parts(), tally(), 0.05));
    expect(farm.started[1]?.admits()).toBe(true);
  });

  it('that cannot give back what it has serves on, and gets new connections', async () => {
    const farm = new ChangedFarm(1000);
    const parts = farm.parts();
    const canary = await done(farm, startCanary(parts, tally(), 0.05));
    if (typeof canary === 'string') throw new Error(canary);
    farm.dies(farm.started[0]);
    farm.places[0]?.succeed(farm.started.at(1)!);
    expect(await rollBack(canary, parts, tally())).toContain('The canary has connections left');
    expect(farm.started[1]?.admits()).toBe(true);
  });

  it('that dies while it is asked what it lacks is none', async () => {
    const farm = new ChangedFarm(5);
    let answer: (() => void) | undefined;
    farm.started.at(0)!.apps = [{ name: 'gone', version: null }];
    farm.started.at(0)!.ask = () => new Promise((resolve) => (answer = () => resolve(undefined)));
    const change = startCanary(farm.parts(), tally(), 0.05);
    await eventually(() => farm.started.length === 2);
    farm.serves(farm.started[1]);
    await eventually(() => answer !== undefined);
    farm.dies(farm.started[1]);
    answer?.();
    expect(await within(change)).toContain('died');
  });
});
