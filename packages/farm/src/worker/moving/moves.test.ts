import { serialize } from 'node:v8';
import { crc32 } from 'node:zlib';
import { eventually, readFrames, type RawClient } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import { clientFrame, poll, textFrame, upgradeHead } from '../fixtures/worker-harness.ts';
import { MoveRig } from './fixtures/move-rig.ts';

/** What the hooks of a worker were called with. */
interface Told {
  readonly app: App;
  readonly hooks: string[];
  readonly connections: Connection[];
}

function echo(name: string, more: Partial<App> = {}): Told {
  const hooks: string[] = [];
  const connections: Connection[] = [];
  const app: App = {
    name: 'app',
    upgrade: (request) =>
      accept({ channels: request.query.getAll('channel'), attachment: { path: request.path } }),
    open: (connection) => {
      connections.push(connection);
      hooks.push('open');
    },
    message: (connection, data) => void connection.send(`${name} ${String(data)}`),
    handover: () => void hooks.push('handover'),
    moved: (connection, { version, reason }) => {
      connections.push(connection);
      hooks.push(`moved ${version} ${reason}`);
    },
    close: (_connection, code) => void hooks.push(`close ${code}`),
    ...more,
  };
  return { app, hooks, connections };
}

function member(name: string): Told {
  return echo(name, {
    occupancy: true,
    upgrade: () => accept({ user: 'ada' }),
    encode: ({ kind, payload }) => (kind === 'publication' ? String(payload) : kind),
  });
}

function texts(client: RawClient): string[] {
  return readFrames(client.unread).map(({ payload }) => payload.toString());
}

/** What the clients have sent: a head each, and so much of the stream. */
function readBytes(clients: readonly unknown[], stream: Buffer): number {
  return clients.length * upgradeHead('/').length + (stream.length * (stream.length - 1)) / 2;
}

/** Lets so many turns of the event loop go by. */
async function ticks(count: number): Promise<void> {
  for (let tick = 0; tick < count; tick++) await new Promise((resolve) => void setImmediate(resolve));
}

let rig: MoveRig;
afterEach(() => rig.stop());

describe('a connection that moves', () => {
  it('is served by the other worker, and its client notices nothing', async () => {
    const [one, two] = [echo('one'), echo('two')];
    rig = await MoveRig.start([one.app, two.app]);
    const client = await rig.source.open('/chat?channel=news');
    client.write(textFrame('a'));
    await poll(() => texts(client)).toEqual(['one a']);
    const id = one.connections[0]?.id;
    rig.begin();
    expect(await rig.ended()).toMatchObject([
      { role: 'source', reason: 'done', moved: 1, left: 0, closed: 0 },
      { role: 'target', reason: 'done', moved: 1, left: 1, closed: 0 },
    ]);
    client.write(textFrame('b'));
    rig.target.publish('news', 'published');
    await poll(() => texts(client).toSorted()).toEqual(['one a', 'published', 'two b']);
    expect(one.hooks).toEqual(['open', 'handover']);
    expect(two.hooks).toEqual(['moved 1.0 reload']);
    const [moved] = two.connections;
    expect(moved).toMatchObject({ id, channels: ['news'], attachment: { path: '/chat' }, isOpen: true });
    expect(one.connections[0]).toMatchObject({ isOpen: false, id: '' });
    expect(moved?.close(4000)).toBe(true);
    client.write(clientFrame(0x88, Buffer.from([0x0f, 0xa0])));
    await poll(() => two.hooks).toEqual(['moved 1.0 reload', 'close 4000']);
    expect(one.hooks).toEqual(['open', 'handover']);
  });

  it('goes on in the middle of a frame, and in the middle of a message', async () => {
    const [one, two] = [echo('one'), echo('two')];
    rig = await MoveRig.start([one.app, two.app]);
    const [half, open] = [await rig.source.open(), await rig.source.open()];
    const frame = textFrame('half a frame');
    half.write(frame.subarray(0, 9));
    const fragments = [
      clientFrame(0x01, Buffer.from('in ')),
      clientFrame(0x00, Buffer.from('three ')),
      clientFrame(0x80, Buffer.from('pieces')),
    ];
    open.write(Buffer.concat(fragments.slice(0, 2)));
    open.write(fragments[2]?.subarray(0, 3) ?? Buffer.alloc(0));
    await rig.source.counts('wakes', 1);
    await eventually(async () => (await rig.source.measured()).gauges.inbound_buffer_bytes !== 0);
    rig.begin();
    await rig.ended();
    half.write(frame.subarray(9));
    open.write(fragments[2]?.subarray(3) ?? Buffer.alloc(0));
    await poll(() => texts(half)).toEqual(['two half a frame']);
    await poll(() => texts(open)).toEqual(['two in three pieces']);
  });

  it('goes on at every place between two fragments, with control frames among them, there and back', async () => {
    const [one, two] = [echo('one'), echo('two')];
    rig = await MoveRig.start([one.app, two.app]);
    const pieces = [
      clientFrame(0x01, Buffer.from('a')),
      clientFrame(0x00, Buffer.from('b')),
      clientFrame(0x89, Buffer.from('?')),
      clientFrame(0x00, Buffer.alloc(0)),
      clientFrame(0x80, Buffer.from('c')),
    ];
    const stream = Buffer.concat(pieces);
    const clients = await Promise.all(Array.from(stream, () => rig.source.open()));
    for (const [cut, client] of clients.entries()) client.write(stream.subarray(0, cut));
    const isQuiet = async (): Promise<boolean> =>
      (await rig.source.measured()).totals.received_bytes === readBytes(clients, stream);
    await eventually(isQuiet, { what: 'everything has arrived' });
    for (let moves = 0; moves < 3; moves++) {
      rig.begin();
      expect((await rig.ended())[0]).toMatchObject({ moved: clients.length, left: 0 });
      rig.turn();
    }
    for (const [cut, client] of clients.entries()) client.write(stream.subarray(cut));
    for (const client of clients) {
      await poll(() =>
        readFrames(client.unread).map(({ first, payload }) => `${first} ${String(payload)}`),
      ).toEqual(['138 ?', '129 two abc']);
    }
  });

  it('is answered every message while it moves to and fro, fragmented as they may be', async () => {
    const [one, two] = [echo('x'), echo('x')];
    rig = await MoveRig.start([one.app, two.app]);
    const clients = await Promise.all(Array.from({ length: 40 }, () => rig.source.open()));
    const talking = { isOver: false };
    const talk = async (client: RawClient, index: number): Promise<number> => {
      let number = 0;
      while (!talking.isOver) {
        const text = Buffer.from(`${index} ${++number}`);
        client.write(clientFrame(0x01, text.subarray(0, 1)));
        await ticks(index % 5);
        client.write(clientFrame(0x00, text.subarray(1, 2)));
        await ticks(index % 7);
        client.write(clientFrame(0x80, text.subarray(2)));
        await poll(() => readFrames(client.unread).length).toBe(number);
      }
      return number;
    };
    const talks = clients.map(talk);
    for (let moves = 0; moves < 12; moves++) {
      rig.begin('all', 7);
      expect((await rig.ended())[0]).toMatchObject({ moved: clients.length, left: 0 });
      rig.turn();
    }
    talking.isOver = true;
    const counts = await Promise.all(talks);
    for (const [index, client] of clients.entries()) {
      const expected = Array.from({ length: counts[index] ?? 0 }, (_, number) => `x ${index} ${number + 1}`);
      expect(texts(client)).toEqual(expected);
    }
    expect(Math.min(...counts)).toBeGreaterThan(1);
  });

  it('keeps what waits for it and what it is: queue, session, user, deadline', async () => {
    const big = Buffer.alloc(3_000_000, 'x');
    const one = echo('one', {
      upgrade: () => accept({ user: 'ada', session: Buffer.from('s'), expiresAt: Date.now() / 1000 + 3600 }),
      open: (connection) => {
        connection.send(big);
        connection.send('behind it');
      },
    });
    const two = echo('two');
    rig = await MoveRig.start([one.app, two.app], { maxOutboundBytes: 8 * 1024 * 1024, verifyMoves: 1 });
    const client = await rig.source.connect();
    client.writeText(upgradeHead('/'));
    client.pause();
    await eventually(async () => (await rig.source.report()).outboundBytes > 0);
    rig.begin();
    await rig.ended();
    const [moved] = two.connections;
    expect(moved).toMatchObject({ user: 'ada', session: Buffer.from('s') });
    expect(moved?.bufferedBytes).toBeGreaterThan(100_000);
    expect((moved?.expiresAt ?? 0) - Date.now() / 1000).toBeGreaterThan(3000);
    client.resume();
    await client.readHead();
    await poll(() => readFrames(client.unread).map(({ payload }) => payload.length)).toEqual([big.length, 9]);
    expect(await rig.target.count('move_position_mismatch')).toBe(0);
  });

  it('is sent to, and closed, while it is on its way', async () => {
    const [one, two] = [echo('one'), echo('two')];
    rig = await MoveRig.start([one.app, two.app]);
    const [sent, closed] = [await rig.source.open(), await rig.source.open()];
    rig.begin();
    rig.fromTarget.holdAt('taken');
    await rig.heard('target', 'taken');
    const [first, second] = one.connections;
    expect([first?.isOpen, first?.send('late'), first?.close(4001)]).toEqual([true, true, true]);
    expect(await second?.subscribe('news')).toBe(false);
    if (second !== undefined) second.attachment = 'newer';
    rig.fromTarget.go();
    await rig.ended();
    await poll(() => texts(sent)[0]).toBe('late');
    await poll(() => readFrames(sent.unread)[1]?.first).toBe(0x88);
    expect(two.connections[1]?.attachment).toBe('newer');
    closed.write(textFrame('x'));
    await poll(() => texts(closed)).toEqual(['two x']);
  });

  it('may be an HTTP client between two requests, or one that has not said what it is', async () => {
    const http: Partial<App> = { http: (_request, response) => void response.end('here') };
    rig = await MoveRig.start([echo('one', http).app, echo('two', http).app]);
    const [idle, silent] = [await rig.source.connect(), await rig.source.connect()];
    const request = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
    idle.writeText(request);
    expect(await idle.readHead()).toContain('200 OK');
    silent.writeText('GET /cha');
    await eventually(async () => (await rig.source.measured()).gauges.inbound_buffer_bytes !== 0);
    rig.begin();
    expect((await rig.ended())[0]).toMatchObject({ moved: 2, left: 0 });
    await idle.read(4);
    idle.writeText(request);
    expect(await idle.readHead()).toContain('200 OK');
    silent.writeText(upgradeHead('/').slice('GET /'.length).replace(' HTTP', 't HTTP'));
    expect(await silent.readHead()).toContain('101 ');
    expect((await rig.target.report()).connections).toBe(1);
    expect((await rig.source.report()).connections).toBe(0);
  });

  it('stays the member that it was, of which nobody is told, and channels stay occupied', async () => {
    const [one, two] = [member('one'), member('two')];
    rig = await MoveRig.start([one.app, two.app]);
    const client = await rig.source.open();
    await poll(() => one.connections.length).toBe(1);
    const [connection] = one.connections;
    if (connection === undefined || rig.source.context === undefined) expect.unreachable();
    const request = {
      channel: 'presence-room',
      member: { user: 'ada', info: '{"name":"Ada"}', maxMembers: 10 },
      welcome: () => 'welcome',
    };
    expect(await rig.source.context.join(connection, request)).toBe('joined');
    await poll(() => texts(client)).toContain('welcome');
    const before = texts(client).length;
    rig.begin();
    await rig.ended();
    const context = rig.target.context;
    expect(two.connections[0]?.memberOf('presence-room')).toBe('ada');
    expect(await context?.channelMembers('presence-room', 10)).toEqual([
      { user: 'ada', info: '{"name":"Ada"}' },
    ]);
    await eventually(async () => {
      expect(await context?.channelStates(['presence-room'])).toMatchObject([{ members: 1, subscribers: 1 }]);
      expect(await context?.countUser('ada')).toBe(1);
    });
    rig.target.publish('presence-room', 'after');
    await poll(() => texts(client).at(-1)).toBe('after');
    // Neither a leave nor a join is told, to this one least of all.
    expect(texts(client).slice(before)).toEqual(['after']);
  });

  it('waits for a hook that is under way, for a while', async () => {
    const done: (() => void)[] = [];
    const slow: Partial<App> = {
      message: (connection, data) =>
        new Promise<void>((resolve) => {
          done.push(() => {
            connection.send(`done ${String(data)}`);
            resolve();
          });
        }),
    };
    rig = await MoveRig.start([echo('one', slow).app, echo('two').app]);
    const client = await rig.source.open();
    client.write(textFrame('a'));
    await poll(() => done.length).toBe(1);
    rig.begin();
    await eventually(async () => (await rig.source.count('move_rows_postponed')) > 0);
    done[0]?.();
    expect((await rig.ended())[0]).toMatchObject({ moved: 1 });
    await poll(() => texts(client)).toEqual(['done a']);
    rig.turn();
    expect(await rig.target.count('moves_hooks_pending')).toBe(0);
  });

  it('moves all the same when a hook takes longer than handoverGraceMs', async () => {
    const never: Partial<App> = { message: () => new Promise<void>(() => undefined) };
    rig = await MoveRig.start([echo('one', never).app, echo('two').app], { handoverGraceMs: 0 });
    const client = await rig.source.open();
    client.write(textFrame('a'));
    await rig.source.counts('messages_received', 1);
    rig.begin();
    expect((await rig.ended())[0]).toMatchObject({ moved: 1 });
    expect(await rig.source.count('moves_hooks_pending')).toBe(1);
    client.write(textFrame('b'));
    await poll(() => texts(client)).toEqual(['two b']);
  });

  it('knows that it has missed what had no room', async () => {
    const [one, two] = [echo('one'), echo('two')];
    rig = await MoveRig.start([one.app, two.app], { beyondLimits: { maxMoveHeldBytes: 1500 } });
    const client = await rig.source.open('/?channel=news');
    rig.begin();
    rig.fromSource.holdAt('batch');
    await rig.heard('source', 'batch');
    rig.source.publish('news', 'kept');
    rig.source.publish('news', 'x'.repeat(2000));
    rig.source.publish('news', 'behind');
    await rig.source.counts('move_publications_kept', 2);
    await rig.target.counts('move_publications_kept', 2);
    rig.fromSource.go();
    await rig.ended();
    await poll(() => texts(client)).toEqual(['kept', 'behind']);
    expect(two.connections[0]?.hasGap).toBe(true);
  });

  it('gets every publication once and in order while it moves to and fro', async () => {
    const [one, two] = [echo('one'), echo('two')];
    rig = await MoveRig.start([one.app, two.app]);
    const clients = await Promise.all(Array.from({ length: 20 }, () => rig.source.open('/?channel=news')));
    const published: string[] = [];
    const publishing = { isOver: false };
    const publish = async (): Promise<void> => {
      while (!publishing.isOver) {
        published.push(`${published.length}`);
        rig.source.exchange.publish('news', Buffer.from(published.at(-1) ?? ''));
        await ticks(1);
      }
    };
    const end = publish();
    for (let moves = 0; moves < 12; moves++) {
      rig.begin('all', 7);
      expect((await rig.ended())[0]).toMatchObject({ moved: clients.length, left: 0 });
      rig.turn();
    }
    publishing.isOver = true;
    await end;
    for (const client of clients) await poll(() => texts(client)).toEqual(published);
  });

  it('moves with a later batch when it has a new channel since its batch was planned', async () => {
    const [one, two] = [echo('one'), echo('two')];
    rig = await MoveRig.start([one.app, two.app]);
    const clients = [await rig.source.open(), await rig.source.open()];
    rig.begin();
    rig.fromTarget.holdAt('held');
    await rig.heard('target', 'held');
    expect(await one.connections[0]?.subscribe('late')).toBe(true);
    rig.fromTarget.go();
    expect((await rig.ended())[0]).toMatchObject({ moved: 2, left: 0 });
    expect(rig.fromSource.seen.filter((name) => name === 'batch')).toHaveLength(2);
    rig.target.publish('late', 'for one');
    await poll(() => clients.map(texts)).toContainEqual(['for one']);
  });

  it('goes on where it was when the other worker does not know its application', async () => {
    const gone = echo('gone', {
      name: 'gone',
      upgrade: ({ path }) => (path === '/gone' ? accept() : undefined),
    });
    const [one, two] = [echo('one'), echo('two')];
    rig = await MoveRig.start([[gone.app, one.app], two.app]);
    const clients = [await rig.source.open('/gone'), await rig.source.open()];
    rig.begin();
    expect((await rig.ended())[0]).toMatchObject({ moved: 1, left: 1 });
    for (const client of clients) client.write(textFrame('a'));
    await poll(() => clients.map(texts)).toEqual([['gone a'], ['two a']]);
  });
});

describe('what cannot be written down or read', () => {
  it('stays for that reason, is chosen once, and everybody else moves', async () => {
    let handovers = 0;
    const one = echo('one', {
      handover: (connection) => {
        handovers++;
        const attachment: unknown = connection.attachment;
        if (typeof attachment !== 'object' || attachment === null || !('path' in attachment)) return;
        // Not checked, because it is not set anew.
        if (attachment.path === '/bad') Object.assign(attachment, { reply: () => undefined });
      },
    });
    rig = await MoveRig.start([one.app, echo('two').app]);
    const clients: RawClient[] = [];
    for (const path of ['/bad', '/good', '/bad', '/good', '/good']) clients.push(await rig.source.open(path));
    rig.begin('all', 2);
    expect(await rig.ended()).toMatchObject([
      { role: 'source', reason: 'attachment', moved: 3, left: 2 },
      { role: 'target', reason: 'done', moved: 3 },
    ]);
    expect(handovers).toBe(5);
    expect(await rig.source.count('moves_left_attachment')).toBe(2);
    expect(await rig.source.count('move_refused_full')).toBe(0);
    for (const client of clients) client.write(textFrame('?'));
    await poll(() => clients.flatMap(texts)).toEqual(['one ?', 'two ?', 'one ?', 'two ?', 'two ?']);
  });

  it('keeps none from moving where only some are wanted', async () => {
    const one = echo('one', {
      handover: ({ attachment }) => void Object.assign(attachment ?? {}, { reply: () => undefined }),
    });
    rig = await MoveRig.start([one.app, echo('two').app]);
    await rig.source.open('/chat');
    rig.begin(16);
    expect(await rig.ended('source')).toMatchObject([{ reason: 'attachment', moved: 0, left: 1 }]);
  });

  it('is known to the target, which has not its app', async () => {
    rig = await MoveRig.start([echo('one').app, { ...echo('two').app, name: 'other' }]);
    await rig.source.open('/chat');
    rig.begin();
    expect(await rig.ended('target')).toMatchObject([{ reason: 'app', moved: 0 }]);
  });

  it('stays when it is an attachment of a newer V8, which the target cannot read: everybody else moves', async () => {
    rig = await MoveRig.start([echo('one').app, echo('two').app]);
    const clients: RawClient[] = [];
    for (const path of ['/new', '/old', '/old']) clients.push(await rig.source.open(path));
    rig.begin();
    // It comes again when it is the only one that is left.
    for (const batch of [1, 2]) {
      rig.fromSource.holdAt('batch');
      await eventually(() => rig.fromSource.heldCount > 0, { what: `the source says batch ${batch}` });
      rig.fromSource.change((payload) => {
        // Behind 0xff: the version of the format.
        payload[payload.indexOf(serialize({ path: '/new' })) + 1] = 0xfe;
        // See move-record.ts.
        payload.writeUInt32LE(crc32(payload.subarray(64)), 28);
      });
      rig.fromSource.go();
    }
    expect(await rig.ended()).toMatchObject([
      { role: 'source', reason: 'full', moved: 2, left: 1 },
      { role: 'target', reason: 'attachment', moved: 2 },
    ]);
    expect(await rig.target.count('moves_left_attachment')).toBe(2);
    for (const client of clients) client.write(textFrame('?'));
    await poll(() => clients.flatMap(texts)).toEqual(['one ?', 'two ?', 'two ?']);
  });

  it('is not the attachment of a newer V8 that was set on the way: the connection has the one with which it left', async () => {
    const [one, two] = [echo('one'), echo('two')];
    rig = await MoveRig.start([one.app, two.app]);
    const client = await rig.source.open('/chat');
    rig.begin();
    rig.fromTarget.holdAt('taken');
    await rig.heard('target', 'taken');
    const [connection] = one.connections;
    if (connection === undefined) expect.unreachable();
    connection.attachment = { path: '/late' };
    connection.send('late');
    rig.fromSource.holdAt('tail');
    rig.fromTarget.go();
    await eventually(() => rig.fromSource.heldCount > 0, { what: 'the source says tail' });
    rig.fromSource.change((payload) => {
      payload[payload.indexOf(serialize({ path: '/late' })) + 1] = 0xfe;
    });
    rig.fromSource.go();
    expect(await rig.ended()).toMatchObject([{ moved: 1, left: 0 }, { moved: 1 }]);
    await poll(() => texts(client)).toEqual(['late']);
    expect(two.connections[0]?.attachment).toEqual({ path: '/chat' });
    expect(await rig.target.count('moves_left_attachment')).toBe(1);
  });

  it('is not tried for ever where channels change whenever the connection is to go', async () => {
    let handovers = 0;
    const one = echo('one', {
      handover: (connection) => void connection.subscribe(`channel ${++handovers}`),
    });
    rig = await MoveRig.start([one.app, echo('two').app]);
    const client = await rig.source.open('/chat');
    rig.begin();
    expect(await rig.ended('source')).toMatchObject([{ reason: 'busy', moved: 0, left: 1 }]);
    client.write(textFrame('?'));
    await poll(() => texts(client)).toEqual(['one ?']);
  });
});
