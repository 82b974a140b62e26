import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import { FIRST_ID, poll, WorkerHarness } from '../fixtures/worker-harness.ts';

const opened: Connection[] = [];
const closed: Connection[] = [];
const APP: App = {
  upgrade: ({ path }) => accept({ attachment: { path }, channels: ['a', 'b'] }),
  open: (connection) => void opened.push(connection),
  message: (connection, data) => void connection.send(data, false),
  close: (connection) => void closed.push(connection),
};

let harness: WorkerHarness;
afterEach(async () => {
  await harness.stop();
  opened.length = closed.length = 0;
});

async function start(app: App = APP): Promise<Connection> {
  harness = await WorkerHarness.start(app);
  await harness.open('/room');
  await poll(() => opened.length).toBe(1);
  return firstOpened();
}

describe('an open connection', () => {
  it('tells who it is', async () => {
    const connection = await start();
    expect(connection.id).toBe(FIRST_ID);
    expect(connection.isOpen).toBe(true);
    expect(connection.remoteAddress).toBe('127.0.0.1');
    expect(connection.attachment).toEqual({ path: '/room' });
    expect(connection.channels).toEqual(['a', 'b']);
    expect(connection.bufferedBytes).toBe(0);
    expect(connection.hasGap).toBe(false);
  });

  it('takes no other bytes than UTF-8 for text, wherever they stand', async () => {
    const connection = await start();
    for (const length of [1, 2, 3, 4, 5, 8, 9, 96, 97, 200]) {
      for (let at = 0; at < length; at++) {
        const data = Buffer.alloc(length, 'a');
        data[at] = 0xff;
        expect(() => connection.send(data, false), `${length} bytes, at ${at}`).toThrow('needs valid UTF-8');
      }
    }
  });

  it('is the same in every hook, by its id and its attachment', async () => {
    const seen: unknown[] = [];
    harness = await WorkerHarness.start({
      upgrade: () => accept({ attachment: 1 }),
      open: (connection) => {
        connection.attachment = 2;
        seen.push(connection.id);
      },
      message: (connection) => {
        seen.push(connection.id, connection.attachment);
        connection.attachment = undefined;
        connection.close();
      },
      close: (connection) => void seen.push(connection.id, connection.attachment),
    });
    const client = await harness.client();
    client.send('x');
    await client.closed;
    await poll(() => seen).toEqual([FIRST_ID, FIRST_ID, 2, FIRST_ID, undefined]);
  });

  it('subscribes and unsubscribes', async () => {
    const connection = await start();
    expect(await connection.subscribe('c')).toBe(true);
    expect(await connection.subscribe('c')).toBe(true);
    expect(connection.channels).toEqual(['a', 'b', 'c']);
    expect(connection.unsubscribe('a')).toBe(true);
    expect(connection.unsubscribe('a')).toBe(false);
    expect(connection.channels).toEqual(['b', 'c']);
  });

  it('rejects channels with an impossible name, and too many', async () => {
    harness = await WorkerHarness.start(APP, { maxSubscriptionsPerConnection: 3 });
    await harness.open();
    const connection = firstOpened();
    await expect(connection.subscribe('')).rejects.toMatchObject({ code: 'FARM_ERR_CHANNEL_NAME' });
    await expect(connection.subscribe('a\nb')).rejects.toMatchObject({ code: 'FARM_ERR_CHANNEL_NAME' });
    await expect(connection.publish('x'.repeat(256), '')).rejects.toMatchObject({
      code: 'FARM_ERR_CHANNEL_NAME',
    });
    expect(await connection.subscribe('c')).toBe(true);
    expect(await connection.subscribe('c')).toBe(true);
    await expect(connection.subscribe('d')).rejects.toMatchObject({
      code: 'FARM_ERR_TOO_MANY_SUBSCRIPTIONS',
    });
  });

  it('takes channel names of up to maxChannelBytes, and no longer ones', async () => {
    harness = await WorkerHarness.start(APP, { maxChannelBytes: 300 });
    await harness.open();
    const connection = firstOpened();
    expect(await connection.subscribe('x'.repeat(300))).toBe(true);
    await connection.publish('ä'.repeat(150), '');
    for (const name of ['x'.repeat(301), 'ä'.repeat(151)]) {
      await expect(connection.subscribe(name)).rejects.toMatchObject({ code: 'FARM_ERR_CHANNEL_NAME' });
      await expect(connection.publish(name, '')).rejects.toMatchObject({ code: 'FARM_ERR_CHANNEL_NAME' });
    }
    expect(harness.context?.channelNameProblem('x'.repeat(300))).toBeUndefined();
    expect(harness.context?.channelNameProblem('x'.repeat(301))).toMatch(/at most 300 bytes/);
  });

  it('takes only close codes that may be sent', async () => {
    const connection = await start();
    for (const code of [999, 1004, 1005, 1006, 1015, 2999, 5000, Number.NaN]) {
      expect(() => connection.close(code)).toThrow(RangeError);
    }
    expect(connection.isOpen).toBe(true);
    expect(connection.close(1000, 'ä'.repeat(100))).toBe(true);
  });
});

describe('a connection that is gone', () => {
  it('answers false to everything, also when its row has another owner', async () => {
    const connection = await start();
    connection.terminate();
    await poll(() => harness.released).toBe(1);
    const client = await harness.client('/next');
    expect(opened).toHaveLength(2);
    expect(connection.isOpen).toBe(false);
    expect(connection.send('x')).toBe(false);
    expect(connection.close()).toBe(false);
    expect(connection.terminate()).toBe(false);
    expect(await connection.subscribe('c')).toBe(false);
    expect(connection.unsubscribe('a')).toBe(false);
    expect([connection.id, connection.remoteAddress, connection.channels, connection.bufferedBytes]).toEqual([
      '',
      '',
      [],
      0,
    ]);
    connection.session = Buffer.from('lost');
    connection.user = 'lost';
    expect([connection.session, connection.user]).toEqual([undefined, undefined]);
    connection.attachment = 'lost';
    expect(connection.attachment).toBeUndefined();
    expect(connection.hasGap).toBe(false);
    client.send('mine');
    expect((await client.nextMessage()).text).toBe('mine');
    expect(opened[1]?.attachment).toEqual({ path: '/next' });
    await client.close();
  });

  it('has a session of bytes, which may be changed in place and replaced', async () => {
    const seen: unknown[] = [];
    harness = await WorkerHarness.start({
      upgrade: ({ path }) => accept({ session: path === '/none' ? undefined : Buffer.from('first') }),
      message: (connection, data) => {
        const { session } = connection;
        seen.push(session === undefined ? undefined : Buffer.from(session).toString());
        session?.set([0x46]);
        if (data.length > 0) connection.session = data.length > 1 ? data : undefined;
      },
      close: (connection) => void seen.push(connection.session?.length),
    });
    const [client, none] = [await harness.client('/'), await harness.client('/none')];
    for (const text of ['', 'ab', 'c'.repeat(5000), '-', '']) client.send(text);
    await poll(() => seen).toEqual(['first', 'First', 'ab', 'c'.repeat(5000), undefined]);
    none.send('last');
    await poll(() => seen.length).toBe(6);
    await none.close();
    await client.close();
    await poll(() => seen.slice(5)).toEqual([undefined, 4, undefined]);
  });

  it('takes no session that is none', async () => {
    const connection = await start();
    for (const session of [new Uint8Array(0), new Uint8Array(16_385)]) {
      expect(() => (connection.session = session)).toThrow(RangeError);
    }
    expect(() => Reflect.set(connection, 'session', 'text')).toThrow(TypeError);
    connection.session = new Uint8Array(16_384).fill(1);
    expect(connection.session).toEqual(Buffer.alloc(16_384, 1));
    connection.session = undefined;
    expect(connection.session).toBeUndefined();
  });

  it('has a user', async () => {
    const users: unknown[] = [];
    harness = await WorkerHarness.start({
      upgrade: () => accept({ user: 'one' }),
      open: (connection) => {
        users.push(connection.user);
        for (const user of ['', 'x'.repeat(257), '\ud800', 7]) {
          expect(() => Reflect.set(connection, 'user', user)).toThrow(RangeError);
        }
        connection.user = 'two';
        users.push(connection.user);
        connection.user = undefined;
        users.push(connection.user);
        connection.user = 'né';
      },
      close: (connection) => void users.push(connection.user),
    });
    const client = await harness.client();
    await client.close();
    await poll(() => users).toEqual(['one', 'two', undefined, 'né']);
  });

  it('shows the close hook who it was, and may still publish', async () => {
    harness = await WorkerHarness.start({
      ...APP,
      close(connection) {
        closed.push(connection);
        void connection.publish('a', `bye ${connection.id}`);
      },
    });
    const client = await harness.client('/mine');
    const other = await harness.client();
    await client.close();
    expect((await other.nextMessage()).text).toBe(`bye ${FIRST_ID}`);
    const [gone] = closed;
    expect(gone?.id).toBe(FIRST_ID);
    expect(gone?.attachment).toEqual({ path: '/mine' });
    expect(gone?.remoteAddress).toBe('127.0.0.1');
    expect(gone?.channels).toEqual(['a', 'b']);
    expect(gone?.isOpen).toBe(false);
    expect(gone?.send('x')).toBe(false);
    expect(gone?.close()).toBe(false);
    expect(gone?.terminate()).toBe(false);
    expect(gone?.unsubscribe('a')).toBe(false);
    expect(await gone?.subscribe('a')).toBe(false);
    await other.close();
  });

  it('leaves no attachment and no channel to the next owner of its row', async () => {
    harness = await WorkerHarness.start(
      {
        ...APP,
        upgrade: ({ path }) =>
          path === '/with' ? accept({ attachment: 'secret', channels: ['a'] }) : accept(),
      },
      { capacity: 1, reservedConnections: 1 },
    );
    for (let round = 1; round <= 3; round++) {
      const client = await harness.client('/with');
      await client.close();
      await poll(() => harness.released).toBe(2 * round - 1);
      const next = await harness.client('/without');
      expect(opened.at(-1)?.attachment).toBeUndefined();
      expect(closed.at(-1)?.channels).toEqual(['a']);
      await next.close();
      await poll(() => harness.released).toBe(2 * round);
      expect(closed.at(-1)?.attachment).toBeUndefined();
      expect(closed.at(-1)?.channels).toEqual([]);
    }
  });

  it('whose subscription is confirmed too late is told so', async () => {
    const connection = await start();
    const subscribed = connection.subscribe('late');
    connection.terminate();
    expect(await subscribed).toBe(false);
    expect((await harness.report()).subscriptions).toBe(0);
  });
});

function firstOpened(): Connection {
  const [connection] = opened;
  if (connection === undefined) throw new Error('no connection was opened');
  return connection;
}
