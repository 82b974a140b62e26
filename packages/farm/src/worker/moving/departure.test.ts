import type { ExchangeToWorkerMessage } from '@roost/broker';
import { eventually, patient, readFrames, type RawClient } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import { RoomClient } from '../fixtures/rooms.ts';
import { poll, textFrame, upgradeHead } from '../fixtures/worker-harness.ts';
import { textsOf } from './fixtures/crowd.ts';
import { MoveRig } from './fixtures/move-rig.ts';
import { RoomsRig } from './fixtures/rooms-rig.ts';

const MEGABYTE = 1024 * 1024;

let rig: MoveRig;
afterEach(() => rig.stop());

function appOf(name: string, connections: Connection[], more: Partial<App> = {}): App {
  return {
    name: 'app',
    upgrade: ({ path, query }) => accept({ channels: query.getAll('channel'), attachment: { path } }),
    open: (connection) => void connections.push(connection),
    message: (connection, data) => void connection.send(`${name} ${String(data)}`),
    moved: (connection) => void connections.push(connection),
    ...more,
  };
}

/** A hook begins between choice and cut; call what it answers to end it. */
async function begun(handoverGraceMs: number): Promise<{ client: RawClient; done: (() => void)[] }> {
  const done: (() => void)[] = [];
  const one = appOf('one', [], {
    message: async (connection, data) => {
      await new Promise<void>((resolve) => done.push(resolve));
      connection.send(`one ${String(data)}`);
    },
  });
  rig = await MoveRig.start([one, appOf('two', [])], { handoverGraceMs });
  const client = await rig.source.open();
  rig.begin();
  rig.fromTarget.holdAt('held');
  await rig.heard('target', 'held');
  client.write(textFrame('?'));
  await poll(() => done.length).toBe(1);
  rig.fromTarget.go();
  return { client, done };
}

/** The source gets what is published from here on together with the mark, right before it. */
function publishRightBeforeTheMark(channel: string, text: string): void {
  const { source } = rig;
  const late: ExchangeToWorkerMessage[] = [];
  source.isLost = (message) => {
    if (message.type === 'publication') {
      // Payloads are lent.
      late.push({ ...message, payload: Buffer.from(message.payload) });
      return true;
    }
    if (message.type === 'mark')
      for (const each of late.splice(0)) source.send({ type: 'broker', message: each });
    return false;
  };
  source.publish(channel, text);
}

describe('a publication that is pending when the batch is cut', () => {
  it('reaches also those once that cannot be written down, and stay', async () => {
    const one = appOf('one', [], {
      handover: ({ attachment }) => {
        if (typeof attachment !== 'object' || attachment === null || !('path' in attachment)) return;
        if (attachment.path === '/bad') Object.assign(attachment, { reply: () => undefined });
      },
    });
    rig = await MoveRig.start([one, appOf('two', [])]);
    const clients = [await rig.source.open('/bad?channel=news'), await rig.source.open('/good?channel=news')];
    rig.begin();
    rig.fromTarget.holdAt('held');
    await rig.heard('target', 'held');
    publishRightBeforeTheMark('news', 'pending');
    rig.fromTarget.go();
    expect(await rig.ended('source')).toMatchObject([{ reason: 'attachment', moved: 1, left: 1 }]);
    for (const client of clients) client.write(textFrame('?'));
    await poll(() => clients.map((client) => textsOf(client).at(-1))).toEqual(['one ?', 'two ?']);
    expect(clients.map(textsOf)).toEqual([
      ['pending', 'one ?'],
      ['pending', 'two ?'],
    ]);
  });
});

describe('an attachment that is replaced on the way, by one that cannot be serialised', () => {
  it('is left behind: the connection has the one with which it left, and everything else goes on', async () => {
    const [one, two]: Connection[][] = [[], []];
    rig = await MoveRig.start([appOf('one', one ?? []), appOf('two', two ?? [])]);
    const client = await rig.source.open('/chat');
    rig.begin();
    rig.fromTarget.holdAt('taken');
    await rig.heard('target', 'taken');
    const [connection] = one ?? [];
    if (connection === undefined) expect.unreachable();
    const attachment = { timer: undefined as unknown };
    connection.attachment = attachment;
    connection.user = 'ada';
    // Not checked, because it is not set anew.
    attachment.timer = () => undefined;
    connection.send('late');
    rig.fromTarget.go();
    expect(await rig.ended()).toMatchObject([{ reason: 'done', moved: 1, left: 0 }, { moved: 1 }]);
    await poll(() => textsOf(client)).toEqual(['late']);
    expect(two?.[0]).toMatchObject({ attachment: { path: '/chat' }, user: 'ada' });
    expect(rig.source.logs.map(({ message }) => message)).toContain(
      'attachment cannot move: it cannot be serialised',
    );
  });
});

describe('a queue that is on its way to another worker', () => {
  it('is not what makes room for the queues of others: it may be sent there already', async () => {
    const connections: Connection[] = [];
    const one = appOf('one', connections, {
      open: (connection) => {
        connections.push(connection);
        connection.send(Buffer.alloc(connections.length === 1 ? 5 * MEGABYTE : 4.5 * MEGABYTE));
      },
    });
    const limits = { maxOutboundBytes: 10 * MEGABYTE, maxOutboundBytesPerWorker: 10 * MEGABYTE };
    rig = await MoveRig.start([one, appOf('two', [])], { beyondLimits: limits });
    const clients = [await rig.source.connect(), await rig.source.connect()];
    for (const [index, client] of clients.entries()) {
      client.writeText(upgradeHead('/'));
      client.pause();
      await eventually(() => (connections[index]?.bufferedBytes ?? 0) > 0);
    }
    rig.begin(1);
    rig.fromTarget.holdAt('taken');
    await rig.heard('target', 'taken');
    connections[1]?.send(Buffer.alloc(MEGABYTE));
    rig.fromTarget.go();
    expect(await rig.ended()).toMatchObject([{ moved: 1 }, { moved: 1 }]);
    const [moved] = clients;
    for (const client of clients) client.resume();
    await moved?.readHead();
    await poll(() => readFrames(moved?.unread ?? Buffer.alloc(0)).length).toBe(1);
    moved?.write(textFrame('?'));
    await poll(() =>
      readFrames(moved?.unread ?? Buffer.alloc(0))
        .at(-1)
        ?.payload.toString(),
    ).toBe('two ?');
  });
});

describe('a control message of which a part is done when a batch comes back', () => {
  it('reaches each connection of the user once', async () => {
    const connections: Connection[] = [];
    const one = appOf('one', connections);
    rig = await MoveRig.start([one, appOf('two', [])], { capacity: 400 });
    const mover = await rig.source.open();
    const others = await Promise.all(Array.from({ length: 256 }, () => rig.source.open()));
    for (const connection of connections.slice(1)) connection.user = 'ada';
    // The last of the user's connections, of which 256 are served before other events.
    if (connections[0] !== undefined) connections[0].user = 'ada';
    const move = rig.begin(1);
    rig.fromSource.holdAt('batch');
    await rig.heard('source', 'batch');
    await rig.kill('target');
    await eventually(() =>
      expect(rig.source.said).toContainEqual({ type: 'moveNeedsDeath', move, side: 'target' }),
    );
    rig.source.control({ type: 'send', user: 'ada', data: 'once' });
    rig.reaped('target');
    expect(await rig.ended('source')).toMatchObject([{ reason: 'dead', moved: 0 }]);
    mover.write(textFrame('?'));
    await poll(() => textsOf(mover).at(-1)).toBe('one ?');
    expect(textsOf(mover)).toEqual(['once', 'one ?']);
    for (const other of others) await poll(() => textsOf(other)).toEqual(['once']);
  });
});

describe('a move that is stopped before its pair has come', () => {
  it('does not begin', async () => {
    rig = await MoveRig.start([appOf('one', []), appOf('two', [])]);
    await rig.source.open();
    rig.begin('all', 252, { isStopped: true });
    expect(await rig.ended()).toMatchObject([{ reason: 'stopped', moved: 0, left: 1 }, { moved: 0 }]);
  });
});

describe('what a connection has that is more than most messages between workers', () => {
  it('moves with it, and so does what it was sent on the way', async () => {
    const large = Buffer.alloc(65 * MEGABYTE);
    const connections: Connection[] = [];
    const one = appOf('one', connections, {
      open: (connection) => {
        connections.push(connection);
        connection.send(large);
      },
    });
    const limits = { maxOutboundBytes: 2 * large.length, maxOutboundBytesPerWorker: 3 * large.length };
    rig = await MoveRig.start([one, appOf('two', [])], { beyondLimits: limits });
    const client = await rig.source.connect();
    client.writeText(upgradeHead('/'));
    client.pause();
    await eventually(() => (connections[0]?.bufferedBytes ?? 0) > 0);
    rig.begin();
    rig.fromTarget.holdAt('taken');
    await rig.heard('target', 'taken');
    connections[0]?.send(large);
    rig.fromTarget.go();
    expect(await rig.ended()).toMatchObject([{ reason: 'done', moved: 1, left: 0 }, { moved: 1 }]);
    client.resume();
    await client.readHead();
    await client.read(2 * (large.length + 10));
    client.write(textFrame('?'));
    await poll(() => textsOf(client)).toEqual(['two ?']);
  });
});

describe('a connection that has joined a channel of its batch since that was planned', () => {
  it.each(['bob', 'ada'])('is the member that it was, %s beside ada', async (user) => {
    const more: Partial<App> = {
      occupancy: true,
      encode: ({ kind, payload }) => `${kind} ${String(payload)}`,
    };
    const [one, two]: [Connection[], Connection[]] = [[], []];
    rig = await MoveRig.start([appOf('one', one, more), appOf('two', two, more)]);
    const clients = [await rig.source.open(), await rig.source.open()];
    const join = async (connection: Connection | undefined, name: string): Promise<void> => {
      if (connection === undefined) expect.unreachable();
      const member = { user: name, info: '{}', maxMembers: 10 };
      const request = { channel: 'presence-room', member, welcome: () => 'welcome' };
      expect(await rig.source.context?.join(connection, request)).toBe('joined');
    };
    await join(one[0], 'ada');
    rig.begin();
    rig.fromTarget.holdAt('held');
    await rig.heard('target', 'held');
    await join(one[1], user);
    rig.fromTarget.go();
    expect(await rig.ended()).toMatchObject([{ moved: 2, left: 0 }, { moved: 2 }]);
    for (const client of clients) client.write(textFrame('?'));
    for (const client of clients) await poll(() => textsOf(client).at(-1)).toBe('two ?');
    expect(two.map((connection) => connection.memberOf('presence-room'))).toEqual(['ada', user]);
    const members = await rig.target.context?.channelMembers('presence-room', 10);
    expect(members?.map((member) => member.user).toSorted()).toEqual([...new Set(['ada', user])]);
    expect(textsOf(clients[0] ?? expect.unreachable()).filter((text) => text.startsWith('left'))).toEqual([]);
  });
});

describe('a connection that has got its user since its batch was planned', () => {
  it('is counted for the user all the time', async () => {
    const one: Connection[] = [];
    rig = await MoveRig.start([
      appOf('one', one, { occupancy: true }),
      appOf('two', [], { occupancy: true }),
    ]);
    await rig.source.open();
    rig.begin();
    rig.fromTarget.holdAt('held');
    await rig.heard('target', 'held');
    if (one[0] !== undefined) one[0].user = 'ada';
    const count = (): Promise<number> | undefined => rig.source.context?.countUser('ada');
    await eventually(async () => expect(await count()).toBe(1));
    // What the target has to tell is late.
    rig.target.silenceExchange();
    rig.fromTarget.go();
    await eventually(() =>
      expect(rig.source.said).toContainEqual(expect.objectContaining({ type: 'moved', total: 1 })),
    );
    expect(await count()).toBe(1);
    rig.target.resumeExchange();
    await rig.ended();
    await eventually(async () => expect(await count()).toBe(1));
  });
});

describe('a member that is still to be told what it may have missed', () => {
  it('is told before it moves', async () => {
    const rooms = await RoomsRig.start({}, {});
    ({ rig } = rooms);
    rig.source.isLost = ({ type }) => type === 'publication';
    const visitor = new RoomClient(await rig.target.client());
    visitor.join('room', 'eve');
    await eventually(() => expect(rooms.observer.members.get('room')).toContain('eve'));
    rig.source.isLost = () => false;
    rig.source.loseSomething();
    rig.begin();
    expect(await rig.ended('source')).toMatchObject([{ reason: 'done', moved: 1, left: 0 }]);
    await rooms.has('ada', 'bob', 'eve');
  });
});

describe('a member that comes back and has missed something', () => {
  it('is told who is in its channels', async () => {
    // No publication has room.
    const rooms = await RoomsRig.start({ beyondLimits: { maxMoveHeldBytes: 1 } }, {});
    ({ rig } = rooms);
    rig.begin();
    rig.fromSource.holdAt('batch');
    await rig.heard('source', 'batch');
    const visitor = new RoomClient(await rig.source.client());
    visitor.join('room', 'eve');
    await eventually(() => expect(visitor.outcomes.get(1)).toBe('joined'));
    await eventually(() => expect(rooms.observer.members.get('room')).toContain('eve'));
    await rig.kill('target');
    await eventually(() => expect(visitor.members.get('room')).not.toContain('bob'));
    rig.reaped('target');
    expect(await rig.ended('source')).toMatchObject([{ reason: 'dead', moved: 0 }]);
    await eventually(() =>
      expect([...(rooms.guest.members.get('room') ?? [])].toSorted()).toEqual(['ada', 'eve']),
    );
    expect(rooms.guest.mistakes).toEqual([]);
  });
});

describe('a hook that begins when the move has lasted for longer than handoverGraceMs', () => {
  it('is waited for all the same, as long as others move, and so long behind them', async () => {
    const graceMs = patient(300);
    const done: (() => void)[] = [];
    const one = appOf('one', [], {
      message: async (connection, data) => {
        await new Promise<void>((resolve) => done.push(resolve));
        connection.send(`one ${String(data)}`);
      },
    });
    rig = await MoveRig.start([one, appOf('two', [])], { handoverGraceMs: graceMs });
    const startedAt = performance.now();
    const [, slow] = [await rig.source.open(), await rig.source.open()];
    rig.begin('all', 1);
    rig.fromTarget.holdAt('taken');
    await rig.heard('target', 'taken');
    await eventually(() => performance.now() - startedAt > graceMs);
    slow.write(textFrame('?'));
    await poll(() => done.length).toBe(1);
    rig.fromTarget.go();
    await eventually(async () =>
      expect([
        await rig.source.count('move_rows_postponed'),
        await rig.source.count('moves_hooks_pending'),
      ]).not.toEqual([0, 0]),
    );
    done[0]?.();
    expect(await rig.ended('source')).toMatchObject([{ reason: 'done', moved: 2, left: 0 }]);
    await poll(() => textsOf(slow)).toEqual(['one ?']);
    expect(await rig.source.count('moves_hooks_pending')).toBe(0);
  });
});

describe('a hook that begins when its connection was chosen already', () => {
  it('is waited for: what it sends arrives', async () => {
    const { client, done } = await begun(patient(10_000));
    await eventually(async () => (await rig.source.count('move_rows_postponed')) > 0);
    done[0]?.();
    expect(await rig.ended()).toMatchObject([{ reason: 'done', moved: 1, left: 0 }, { moved: 1 }]);
    await poll(() => textsOf(client)).toEqual(['one ?']);
    expect(await rig.source.count('moves_hooks_pending')).toBe(0);
  });

  it('is waited for no longer than handoverGraceMs', async () => {
    const { client, done } = await begun(patient(200));
    expect(await rig.ended()).toMatchObject([{ reason: 'done', moved: 1, left: 0 }, { moved: 1 }]);
    expect(await rig.source.count('moves_hooks_pending')).toBe(1);
    done[0]?.();
    client.write(textFrame('!'));
    await poll(() => textsOf(client)).toEqual(['two !']);
  });
});
