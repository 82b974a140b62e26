import { eventually, within } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { ChangedFarm } from '../fixtures/changed-farm.ts';
import { ChangeTally } from './change-tally.ts';
import { reloadAll } from './reload.ts';
import { retireLife } from './retire-life.ts';

/** Lets each new worker serve as soon as it is started, and each that retires go. */
async function obliging(farm: ChangedFarm, done: () => boolean): Promise<void> {
  await eventually(() => {
    for (const life of farm.started) {
      if (life.state === 'starting') farm.serves(life);
      else if (life.state === 'draining') farm.dies(life);
    }
    return done();
  });
}

async function reloaded(
  farm: ChangedFarm,
  config = {},
): Promise<{ reason: string | undefined; tally: ChangeTally }> {
  const tally = new ChangeTally('reload');
  let isDone = false;
  const change = reloadAll(farm.parts(config), tally).finally(() => {
    isDone = true;
  });
  await obliging(farm, () => isDone);
  return { reason: await change, tally };
}

describe('a reload', () => {
  it('replaces one worker after the other, and moves all that they have', async () => {
    const farm = new ChangedFarm(100, 50);
    const { reason, tally } = await reloaded(farm);
    expect(reason).toBeUndefined();
    expect(farm.moves).toEqual([
      { from: 0, to: 2, rows: 16 },
      { from: 0, to: 2, rows: 'all' },
      { from: 1, to: 3, rows: 16 },
      { from: 1, to: 3, rows: 'all' },
    ]);
    expect(farm.places.map(({ current }) => [current.id, current.connections])).toEqual([
      [2, 100],
      [3, 50],
    ]);
    expect(tally.report).toMatchObject({ moved: 150, left: 0, closed: 0, worker: 2, of: 2 });
  });

  it('gives a new worker no socket before it has lived for probationMs', async () => {
    const farm = new ChangedFarm(100);
    const tally = new ChangeTally('reload');
    const change = reloadAll(farm.parts({ probationMs: 60_000 }), tally);
    await eventually(() => farm.started[1] !== undefined);
    farm.serves(farm.started[1]);
    await eventually(() => tally.report.moved === 16);
    expect(farm.started.map((life) => life.admits())).toEqual([true, false]);
    farm.dies(farm.started[1]);
    expect(await change).toBe('Worker 0: The new worker died in its probation.');
    expect(farm.places[0]?.current.connections).toBe(84);
  });

  it('replaces reloadParallel workers at a time', async () => {
    const farm = new ChangedFarm(1, 1, 1);
    const change = reloadAll(farm.parts({ reloadParallel: 2 }), new ChangeTally('reload'));
    await eventually(() => farm.started.length === 5);
    let isDone = false;
    void change.finally(() => {
      isDone = true;
    });
    expect(farm.lives.filter(({ state }) => state === 'starting')).toHaveLength(2);
    await obliging(farm, () => isDone);
    expect(await change).toBeUndefined();
  });

  it('stops where a new worker does not start twice: this one and those behind it stay as they are', async () => {
    const farm = new ChangedFarm(100, 50);
    const change = reloadAll(farm.parts(), new ChangeTally('reload'));
    for (const id of [2, 3]) {
      await eventually(() => farm.started[id] !== undefined);
      farm.dies(farm.started[id]);
    }
    expect(await change).toMatch(/^Worker 0: The new worker did not start, 2 times: /);
    expect(farm.places.map(({ current }) => current.id)).toEqual([0, 1]);
    expect(farm.moves).toEqual([]);
  });

  it('moves what an earlier reload has left with an old worker, too', async () => {
    const farm = new ChangedFarm(100);
    const other = farm.places.at(0)!.startOther();
    other.state = 'ready';
    other.connections = 7;
    const { reason } = await reloaded(farm);
    expect(reason).toBeUndefined();
    expect(farm.places[0]).toMatchObject({ current: { id: 2, connections: 107 }, others: [] });
  });

  it('replaces nothing where there is no worker: what is started there is new', async () => {
    const farm = new ChangedFarm(100, 50);
    farm.dies(farm.started[0]);
    const { reason } = await reloaded(farm);
    expect(reason).toBeUndefined();
    expect(farm.moves.map(({ from }) => from)).toEqual([1, 1]);
  });

  it('stops when the new worker lacks an app of the old one', async () => {
    const farm = new ChangedFarm(100);
    const change = reloadAll(farm.parts(), new ChangeTally('reload'));
    await eventually(() => farm.started[1] !== undefined);
    farm.started.at(1)!.apps = [{ name: 'other', version: '2' }];
    farm.serves(farm.started[1]);
    expect(await change).toContain('has no chat');
    expect(farm.started[1]?.retirement).toEqual([0, 60_000]);
  });
});

describe('a new worker that dies', () => {
  it('while the old one is asked what the new one lacks is started again', async () => {
    const farm = new ChangedFarm(100);
    const old = farm.started.at(0)!;
    let answer: (() => void) | undefined;
    old.apps = [...old.apps, { name: 'gone', version: null }];
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it has what is looked at.
    const none = { kind: 'metrics', measured: { connections: {} } } as unknown as undefined;
    old.ask = () => new Promise((resolve) => (answer = () => resolve(none)));
    let isDone = false;
    const change = reloadAll(farm.parts(), new ChangeTally('reload')).finally(() => {
      isDone = true;
    });
    await eventually(() => farm.started[1] !== undefined);
    farm.serves(farm.started[1]);
    await eventually(() => answer !== undefined);
    farm.dies(farm.started[1]);
    answer?.();
    await eventually(() => farm.started[2] !== undefined);
    await obliging(farm, () => {
      answer?.();
      return isDone;
    });
    expect(await change).toBeUndefined();
    expect(farm.places[0]?.current).toMatchObject({ id: 2, connections: 100 });
  });

  it('before a reload goes on with it as a canary stops it, and the old one serves on', async () => {
    const farm = new ChangedFarm(100);
    const place = farm.place(0);
    const life = farm.places.at(0)!.startOther();
    farm.serves(life);
    farm.started.at(0)!.state = 'starting';
    const canary = { place, life: place.others.at(0)! };
    const change = reloadAll(farm.parts(), new ChangeTally('continue'), canary);
    await new Promise(setImmediate);
    farm.dies(life);
    farm.serves(farm.started[0]);
    expect(await within(change)).toMatch(/^Worker 0: The new worker died/);
    expect(farm.started[0]?.admits()).toBe(true);
    expect(farm.places[0]?.current).toMatchObject({ id: 0, connections: 100 });
  });
});

describe('a worker that retires', () => {
  it('may take retireMs, and is killed when it does not end then', async () => {
    const farm = new ChangedFarm(1);
    const parts = farm.parts({ retireMs: 0, stopTimeoutMs: 0, drainMs: 7 });
    const end = retireLife(farm.place(0).current!, parts);
    expect(farm.started[0]?.retirement).toEqual([7, 0]);
    await eventually(() => farm.started[0]?.kills === 1);
    farm.dies(farm.started[0]);
    await end;
  });
});
