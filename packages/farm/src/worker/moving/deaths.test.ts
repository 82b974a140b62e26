import { eventually, patient, readFrames, type RawClient } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import { clientFrame, poll, textFrame } from '../fixtures/worker-harness.ts';
import { MoveRig, type PairMessageName } from './fixtures/move-rig.ts';

/** Short enough to wait for; a starved machine makes it longer. */
const TIMEOUT_MS = patient(150);
const LIMITS = { moveTimeoutMs: TIMEOUT_MS, subscribeTimeoutMs: TIMEOUT_MS, workerTimeoutMs: TIMEOUT_MS };
const CLIENTS = 5;

const closes: number[] = [];
function appOf(name: string): App {
  return {
    name: 'app',
    upgrade: (request) => accept({ channels: [request.path.slice(1), 'all'] }),
    message: (connection, data) => void connection.send(`${name} ${String(data)}`),
    close: (_connection, code) => void closes.push(code),
  };
}

let rig: MoveRig;
let clients: RawClient[];
let published: number;

/** Each client is in the middle of a message, and has a channel of its own beside the one of all. */
async function start(targetCapacity = 64): Promise<void> {
  published = 0;
  closes.length = 0;
  rig = await MoveRig.start(
    [appOf('source'), appOf('target')],
    { beyondLimits: LIMITS },
    { capacity: targetCapacity },
  );
  clients = [];
  for (let index = 0; index < CLIENTS; index++) {
    const client = await rig.source.open(`/own${index}`);
    client.write(clientFrame(0x01, Buffer.from('be')));
    clients.push(client);
  }
  await rig.source.counts('wakes', CLIENTS);
}

function publish(count = 3): void {
  for (let index = 0; index < count; index++) rig.source.publish('all', `all ${++published}`);
}

function textsOf(client: RawClient): string[] {
  return readFrames(client.unread).map(({ payload }) => payload.toString());
}

/** Every client has had every publication once, in order, and goes on in its message. */
async function servedBy(who: 'source' | 'target'): Promise<void> {
  publish();
  const all = Array.from({ length: published }, (_, index) => `all ${index + 1}`);
  for (const client of clients) {
    await poll(() => textsOf(client)).toEqual(all);
    client.write(clientFrame(0x80, Buffer.from('gun')));
    await poll(() => textsOf(client).at(-1)).toBe(`${who} begun`);
    client.write(textFrame('more'));
    await poll(() => textsOf(client).at(-1)).toBe(`${who} more`);
    expect(textsOf(client)).toEqual([...all, `${who} begun`, `${who} more`]);
  }
}

afterEach(() => rig.stop());

describe('a move of which a message is late', () => {
  it.each<['source' | 'target', PairMessageName]>([
    ['source', 'plan'],
    ['target', 'held'],
    ['source', 'batch'],
  ])(
    'from the %s, %s: nothing has changed for anybody, and the rows move with another batch',
    async (side, name) => {
      await start();
      rig.begin();
      const relay = side === 'source' ? rig.fromSource : rig.fromTarget;
      relay.holdAt(name);
      await rig.heard(side, name);
      publish();
      await rig.source.counts('move_refused_timeout', name === 'batch' ? 0 : 1);
      if (name === 'batch') await rig.target.counts('move_refused_timeout', 1);
      publish();
      relay.go();
      expect(await rig.ended()).toMatchObject([
        { reason: 'done', moved: CLIENTS, left: 0 },
        { moved: CLIENTS },
      ]);
      await servedBy('target');
      expect(closes).toEqual([]);
    },
  );

  it('from the target, taken: the source asks for its death, and takes its word until then', async () => {
    await start();
    const move = rig.begin();
    rig.fromTarget.holdAt('taken');
    await rig.heard('target', 'taken');
    publish();
    await eventually(() =>
      expect(rig.source.said).toContainEqual({ type: 'moveNeedsDeath', move, side: 'target' }),
    );
    rig.fromTarget.go();
    expect(await rig.ended()).toMatchObject([{ moved: CLIENTS, left: 0 }, { moved: CLIENTS }]);
    await servedBy('target');
  });
});

describe('a move whose target dies', () => {
  it.each<['source' | 'target', PairMessageName]>([
    ['source', 'plan'],
    ['target', 'held'],
    ['source', 'batch'],
  ])('before the %s has been heard with %s: everything goes on where it was', async (side, name) => {
    await start();
    rig.begin();
    const relay = side === 'source' ? rig.fromSource : rig.fromTarget;
    relay.holdAt(name);
    await rig.heard(side, name);
    publish();
    await rig.kill('target');
    publish();
    rig.reaped('target');
    expect(await rig.ended('source')).toMatchObject([{ reason: 'dead', moved: 0, left: CLIENTS }]);
    await servedBy('source');
    expect(closes).toEqual([]);
  });
});

describe('a move whose source dies', () => {
  it('before the batch has come: the target forgets it', async () => {
    await start();
    rig.begin();
    rig.fromSource.holdAt('batch');
    await rig.heard('source', 'batch');
    await rig.kill('source');
    rig.reaped('source');
    expect(await rig.ended('target')).toMatchObject([{ reason: 'dead', moved: 0, left: 0, closed: 0 }]);
  });
});

describe('a move that is stopped', () => {
  it('ends behind the batch under way', async () => {
    await start();
    const move = rig.begin('all', 2);
    rig.fromTarget.holdAt('taken');
    await rig.heard('target', 'taken');
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
    await start(3);
    rig.begin();
    expect(await rig.ended()).toMatchObject([{ reason: 'full', moved: 3, left: CLIENTS - 3 }, { moved: 3 }]);
    for (const [index, client] of clients.entries()) {
      client.write(clientFrame(0x80, Buffer.from('gun')));
      await poll(() => textsOf(client).at(-1)).toBe(index < 3 ? 'target begun' : 'source begun');
    }
  });
});

describe('a move whose broker fails', () => {
  it('between mark and batch, at the target: the batch goes back, and nothing is lost', async () => {
    await start();
    rig.begin();
    rig.fromSource.holdAt('batch');
    await rig.heard('source', 'batch');
    publish();
    rig.target.loseSomething();
    await rig.target.counts('broker_gaps', 1);
    rig.fromSource.go();
    expect(await rig.ended()).toMatchObject([
      { reason: 'done', moved: CLIENTS, left: 0 },
      { moved: CLIENTS },
    ]);
    expect(await rig.source.count('move_batches_resumed')).toBe(1);
    await servedBy('target');
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
    const relay = side === 'source' ? rig.fromSource : rig.fromTarget;
    relay.holdAt(name);
    await rig.heard(side, name);
    rig.source.control({ type: 'disconnect', channel: 'all', code: 4500 });
    await rig.source.counts('control_messages', 1);
    relay.go();
    await rig.ended();
    for (const client of clients) {
      await poll(() => readFrames(client.unread).map(({ first }) => first)).toEqual([0x88]);
    }
  });
});
