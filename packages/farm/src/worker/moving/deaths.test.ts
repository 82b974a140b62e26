import { eventually, readFrames } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { accept } from '../../api/app.ts';
import { CloseCode } from '../../api/close-codes.ts';
import { clientFrame, poll, textFrame } from '../fixtures/worker-harness.ts';
import { CLIENTS, Crowd, goesOn, textsOf, type CrowdOptions } from './fixtures/crowd.ts';
import type { MoveRig, PairMessageName, Side } from './fixtures/move-rig.ts';

let crowd: Crowd;
let rig: MoveRig;

async function start(options?: CrowdOptions): Promise<void> {
  crowd = await Crowd.start(options);
  ({ rig } = crowd);
}

afterEach(() => crowd.end());

describe('a move of which a message is late', () => {
  it.each<[Side, PairMessageName]>([
    ['source', 'plan'],
    ['target', 'held'],
    ['source', 'batch'],
  ])(
    'from the %s, %s: nothing has changed for anybody, and the rows move with another batch',
    async (side, name) => {
      await start();
      rig.begin();
      await crowd.stopAt(side, name);
      crowd.publish();
      await rig.source.counts('move_refused_timeout', name === 'batch' ? 0 : 1);
      if (name === 'batch') await rig.target.counts('move_refused_timeout', 1);
      crowd.publish();
      rig.from(side).go();
      expect(await rig.ended()).toMatchObject([
        { reason: 'done', moved: CLIENTS, left: 0 },
        { moved: CLIENTS },
      ]);
      await crowd.servedBy('target');
      expect([crowd.told('source'), crowd.told('target')]).toEqual([{ open: CLIENTS }, { moved: CLIENTS }]);
      expect([crowd.totalOf('source'), crowd.totalOf('target')]).toEqual([CLIENTS, CLIENTS]);
    },
  );

  it('from the target, taken: the source asks for its death, and takes its word until then', async () => {
    await start();
    const move = rig.begin();
    await crowd.stopAt('target', 'taken');
    crowd.publish();
    await eventually(() =>
      expect(rig.source.said).toContainEqual({ type: 'moveNeedsDeath', move, side: 'target' }),
    );
    rig.fromTarget.go();
    expect(await rig.ended()).toMatchObject([{ moved: CLIENTS, left: 0 }, { moved: CLIENTS }]);
    await crowd.servedBy('target');
  });
});

describe('a move whose target dies', () => {
  it.each<[Side, PairMessageName]>([
    ['source', 'plan'],
    ['target', 'held'],
    ['source', 'batch'],
  ])('before the %s has been heard with %s: everything goes on where it was', async (side, name) => {
    await start();
    rig.begin();
    await crowd.stopAt(side, name);
    crowd.publish();
    await rig.kill('target');
    crowd.publish();
    rig.reaped('target');
    expect(await rig.ended('source')).toMatchObject([{ reason: 'dead', moved: 0, left: CLIENTS }]);
    await crowd.servedBy('source');
    expect([crowd.told('source'), crowd.told('target')]).toEqual([{ open: CLIENTS }, {}]);
    expect((await rig.source.report()).connections).toBe(CLIENTS);
  });

  it('after its word: those that it has taken end with it, and the others go on', async () => {
    await start();
    rig.begin('all', 2);
    await crowd.stopAt('target', 'taken');
    rig.fromTarget.go();
    await crowd.stopAt('target', 'held');
    expect([crowd.totalOf('source'), crowd.totalOf('target')]).toEqual([2, 2]);
    await rig.kill('target');
    rig.reaped('target');
    expect(await rig.ended('source')).toMatchObject([{ reason: 'dead', moved: 2, left: CLIENTS - 2 }]);
    const [gone, others] = [crowd.clients.slice(0, 2), crowd.clients.slice(2)];
    await poll(() => gone.map(({ isClosed }) => isClosed)).toEqual([true, true]);
    await crowd.servedBy('source', others);
    expect(others.map(({ isClosed }) => isClosed)).toEqual([false, false, false]);
    // Their close hooks were the target's.
    expect(crowd.told('source')).toEqual({ open: CLIENTS });
    expect((await rig.source.report()).connections).toBe(CLIENTS - 2);
  });

  it('with its word on the tongue: it has served nobody, and everything goes on where it was', async () => {
    await start();
    rig.begin('all', 252, { keepsTargetEnd: true });
    await crowd.stopAt('source', 'batch');
    rig.fillQueueOfTarget();
    rig.fromSource.go();
    // The batch is there: what comes now is kept by both.
    await rig.target.counts('move_publications_kept', 0);
    crowd.publish();
    await rig.target.counts('move_publications_kept', 3);
    expect(crowd.told('target')).toEqual({});
    await rig.kill('target');
    rig.reaped('target');
    expect(await rig.ended('source')).toMatchObject([{ reason: 'dead', moved: 0, left: CLIENTS }]);
    await crowd.servedBy('source');
    expect([crowd.told('source'), crowd.told('target')]).toEqual([{ open: CLIENTS }, {}]);
    expect((await rig.source.report()).connections).toBe(CLIENTS);
  });

  it('when more was published than there is room for: all go on, and know of the gap', async () => {
    // Two publications.
    await start({ options: { beyondLimits: { maxMoveHeldBytes: 1200 } } });
    rig.begin();
    await crowd.stopAt('source', 'batch');
    crowd.publish();
    await rig.source.counts('move_publications_kept', 2);
    await rig.kill('target');
    rig.reaped('target');
    await rig.ended('source');
    for (const client of crowd.clients) {
      await goesOn(client, 'source');
      expect(textsOf(client)).toEqual(['all 1', 'all 2', 'source begun', 'source more']);
    }
    expect(crowd.connections.source.map(({ hasGap }) => hasGap)).toEqual(Array(CLIENTS).fill(true));
  });
});

describe('a move whose source dies', () => {
  it('before the batch has come: the target forgets it', async () => {
    await start();
    rig.begin();
    await crowd.stopAt('source', 'batch');
    await rig.kill('source');
    rig.reaped('source');
    expect(await rig.ended('target')).toMatchObject([{ reason: 'dead', moved: 0, left: 0, closed: 0 }]);
  });

  it('when it has given the batch away: the target makes sure of its death, and goes on with all', async () => {
    await start();
    const move = rig.begin();
    await crowd.stopAt('source', 'batch');
    crowd.publish();
    await rig.kill('source', { hasSaid: true });
    await eventually(() =>
      expect(rig.target.said).toContainEqual({ type: 'moveNeedsDeath', move, side: 'source' }),
    );
    // Until the master says that it is dead nobody is served twice.
    crowd.publish();
    expect(crowd.told('target')).toEqual({});
    rig.reaped('source');
    expect(await rig.ended('target')).toMatchObject([
      { reason: 'dead', moved: CLIENTS, left: CLIENTS, closed: 0 },
    ]);
    await crowd.servedBy('target');
    expect(crowd.told('target')).toEqual({ moved: CLIENTS });
    expect(crowd.totalOf('target')).toBe(CLIENTS);
    expect((await rig.target.report()).connections).toBe(CLIENTS);
  });

  it('and the master knows it before the target has read the batch: it goes on with all', async () => {
    await start();
    rig.begin();
    await crowd.stopAt('source', 'batch');
    crowd.publish();
    await rig.kill('source', { hasSaid: true });
    rig.reaped('source');
    expect(await rig.ended('target')).toMatchObject([{ reason: 'dead', moved: CLIENTS, closed: 0 }]);
    await crowd.servedBy('target');
    expect(crowd.told('target')).toEqual({ moved: CLIENTS });
  });

  it('while the mark is still on its way to the target: it waits for it, and goes on with all', async () => {
    await start();
    rig.begin();
    const letItCome = rig.delayMark('target');
    await crowd.stopAt('source', 'batch');
    crowd.publish();
    await rig.kill('source', { hasSaid: true });
    rig.reaped('source');
    crowd.publish();
    letItCome();
    expect(await rig.ended('target')).toMatchObject([{ reason: 'dead', moved: CLIENTS, closed: 0 }]);
    await crowd.servedBy('target');
    expect(crowd.told('target')).toEqual({ moved: CLIENTS });
  });

  it('before it has read that the target has all: the target goes on with them', async () => {
    await start();
    rig.begin();
    await crowd.stopAt('target', 'taken');
    crowd.publish();
    await rig.kill('source', { hasSaid: true });
    rig.reaped('source');
    expect(await rig.ended('target')).toMatchObject([{ reason: 'dead', moved: CLIENTS, closed: 0 }]);
    await crowd.servedBy('target');
    expect(crowd.told('target')).toEqual({ moved: CLIENTS });
    expect(crowd.totalOf('target')).toBe(CLIENTS);
  });

  it('and its mark is lost, so that nobody knows where they were cut: they are closed with 1012', async () => {
    await start();
    rig.begin();
    const isLost = rig.loseMark('target');
    await crowd.stopAt('source', 'batch');
    crowd.publish();
    await rig.kill('source', { hasSaid: true });
    rig.reaped('source');
    expect(await rig.ended('target')).toMatchObject([{ reason: 'dead', closed: CLIENTS }]);
    expect(isLost()).toBe(true);
    await crowd.closedWith(CloseCode.serviceRestart);
    // What the source had not sent is not guessed.
    for (const client of crowd.clients) expect(readFrames(client.unread)).toHaveLength(1);
    expect(await rig.target.count('moves_closed')).toBe(CLIENTS);
    for (const client of crowd.clients) client.write(clientFrame(0x88, Buffer.from([0x03, 0xf4])));
    await poll(() => crowd.told('target')).toEqual({ moved: CLIENTS, 'close 1012': CLIENTS });
    expect(crowd.totalOf('target')).toBe(CLIENTS);
    expect((await rig.target.report()).connections).toBe(0);
  });

  it('with rows that the target cannot take: these end, and are counted', async () => {
    await start({ sourceApp: { name: 'other', upgrade: () => accept({ channels: ['all'] }) } });
    const other = await crowd.add('/other');
    rig.begin();
    await crowd.stopAt('source', 'batch');
    await rig.kill('source', { hasSaid: true });
    rig.reaped('source');
    expect(await rig.ended('target')).toMatchObject([{ moved: CLIENTS, left: CLIENTS, closed: 1 }]);
    await poll(() => other.isClosed).toBe(true);
    expect(await rig.target.count('moves_closed')).toBe(1);
    await crowd.servedBy('target', crowd.clients.slice(0, CLIENTS));
  });
});

describe('a move whose master dies', () => {
  it.each<[Side, PairMessageName]>([
    ['target', 'held'],
    ['source', 'batch'],
    ['target', 'taken'],
  ])(
    'before the %s has been heard with %s: both workers end, and their clients see it',
    async (side, name) => {
      await start();
      rig.begin();
      await crowd.stopAt(side, name);
      await rig.stop();
      await poll(() => crowd.clients.map(({ isClosed }) => isClosed)).toEqual(Array(CLIENTS).fill(true));
      expect([rig.source.exits, rig.target.exits]).toEqual([[1], [1]]);
    },
  );
});

describe('a mark that does not come back to the source', () => {
  it('changes nothing for anybody: the rows are read on, and move with another batch', async () => {
    await start();
    rig.begin();
    const isLost = rig.loseMark('source');
    await rig.heard('target', 'held');
    await crowd.stopAt('source', 'plan');
    expect(isLost()).toBe(true);
    expect(await rig.source.count('move_refused_timeout')).toBe(1);
    await crowd.servedBy('source');
    rig.fromSource.go();
    expect(await rig.ended()).toMatchObject([
      { reason: 'done', moved: CLIENTS, left: 0 },
      { moved: CLIENTS },
    ]);
    // Of the first batch neither side has captured anything.
    expect(await rig.source.count('move_batches')).toBe(1);
    for (const client of crowd.clients) {
      client.write(textFrame('again'));
      await poll(() => textsOf(client).at(-1)).toBe('target again');
    }
  });
});

describe('a target that never says that it holds the channels', () => {
  it('is asked five times: then the move ends, and everything goes on where it was', async () => {
    await start();
    rig.begin();
    await crowd.stopAt('target', 'held');
    expect(await rig.ended('source')).toMatchObject([{ reason: 'timeout', moved: 0, left: CLIENTS }]);
    expect(rig.fromSource.seen.filter((name) => name === 'plan')).toHaveLength(5);
    await crowd.servedBy('source');
  });
});

describe('a source that has nothing more to move', () => {
  it('takes leave, which is answered, and the target goes on with what it has', async () => {
    await start();
    rig.begin();
    await rig.ended();
    expect([rig.fromSource.seen.at(-1), rig.fromTarget.seen.at(-1)]).toEqual(['leave', 'left']);
    await crowd.servedBy('target');
  });

  it('because all of a batch have ended on their way has not met a target without room', async () => {
    await start();
    rig.begin();
    await crowd.stopAt('target', 'held');
    for (const client of crowd.clients) client.reset();
    await poll(() => crowd.told('source')).toEqual({ open: CLIENTS, 'close 1006': CLIENTS });
    rig.fromTarget.go();
    expect(await rig.ended()).toMatchObject([{ reason: 'empty', moved: 0, left: 0 }, { moved: 0 }]);
    expect(await rig.source.count('move_refused_full')).toBe(0);
  });
});

describe('a move that is stopped', () => {
  it('ends behind the batch under way', async () => {
    await start();
    const move = rig.begin('all', 2);
    await crowd.stopAt('target', 'taken');
    rig.source.send({ type: 'moveStop', move });
    // The next question and its answer come behind it.
    await rig.source.report();
    rig.fromTarget.go();
    expect(await rig.ended()).toMatchObject([
      { reason: 'stopped', moved: 2, left: CLIENTS - 2 },
      { moved: 2 },
    ]);
  });
});

describe('a move to a target without room', () => {
  it('moves as many as there is room for, and the others go on where they were', async () => {
    await start({ target: { capacity: 3 } });
    rig.begin();
    expect(await rig.ended()).toMatchObject([{ reason: 'full', moved: 3, left: CLIENTS - 3 }, { moved: 3 }]);
    for (const [index, client] of crowd.clients.entries()) {
      client.write(clientFrame(0x80, Buffer.from('gun')));
      await poll(() => textsOf(client).at(-1)).toBe(index < 3 ? 'target begun' : 'source begun');
    }
  });
});

describe('a move whose broker fails', () => {
  it('between mark and batch, at the target: the batch goes back, and nothing is lost', async () => {
    await start();
    rig.begin();
    await crowd.stopAt('source', 'batch');
    crowd.publish();
    rig.target.loseSomething();
    await rig.target.counts('broker_gaps', 1);
    rig.fromSource.go();
    expect(await rig.ended()).toMatchObject([
      { reason: 'done', moved: CLIENTS, left: 0 },
      { moved: CLIENTS },
    ]);
    expect(await rig.source.count('move_batches_resumed')).toBe(1);
    await crowd.servedBy('target');
  });
});

describe('a control message', () => {
  it.each([
    ['before the batch is cut', 'target', 'held'],
    ['while it is on its way', 'source', 'batch'],
    ['while nobody knows whether it was taken', 'target', 'taken'],
  ] as const)('%s reaches every connection', async (_when, side, name) => {
    await start();
    rig.begin();
    await crowd.stopAt(side, name);
    rig.source.control({ type: 'disconnect', channel: 'all', code: 4500 });
    await rig.source.counts('control_messages', 1);
    rig.from(side).go();
    await rig.ended();
    for (const client of crowd.clients) {
      await poll(() => readFrames(client.unread).map(({ first }) => first)).toEqual([0x88]);
    }
  });
});
