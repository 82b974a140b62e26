import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import { WorkerHarness } from '../fixtures/worker-harness.ts';

/** In the channel that the path names, with the user of the query, if there is one. */
const APP: App = {
  upgrade: ({ path, query }) => accept({ channels: [path.slice(1)], user: query.get('user') ?? undefined }),
  message: (connection, data) => void (connection.user = String(data) === '' ? undefined : String(data)),
};

let harness: WorkerHarness;
beforeEach(async () => {
  harness = await WorkerHarness.start(APP, { capacity: 400 });
});
afterEach(() => harness.stop());

describe('the control message disconnect', () => {
  it('closes every subscriber of the channel, and nobody else', async () => {
    const news = await Promise.all([harness.client('/news'), harness.client('/news')]);
    const other = await harness.client('/other');
    harness.control({ type: 'disconnect', channel: 'news', code: 4500, reason: 'go away' });
    for (const client of news) expect(await client.closed).toEqual({ code: 4500, reason: 'go away' });
    await other.roundTrip();
    expect(await harness.count('control_messages')).toBe(1);
    await other.close();
  });

  it('closes with 4500 unless it says otherwise', async () => {
    const client = await harness.client('/news');
    harness.control({ type: 'disconnect', channel: 'news' });
    expect(await client.closed).toEqual({ code: 4500, reason: '' });
  });

  it('of a channel without subscribers does nothing', async () => {
    harness.control({ type: 'disconnect', channel: 'nobody' });
    await harness.counts('control_messages', 1);
    expect(await harness.count('control_malformed')).toBe(0);
  });

  it('closes hundreds', async () => {
    const clients = await Promise.all(Array.from({ length: 300 }, () => harness.open('/news')));
    harness.control({ type: 'disconnect', channel: 'news', code: 4500 });
    for (const client of clients) expect((await client.read(4)).toString('hex')).toBe('88021194');
    await Promise.all(clients.map((client) => client.close()));
  });
});

describe('the connections of a user', () => {
  it('are all sent to, text and bytes, and nobody else is', async () => {
    const { context } = harness;
    const clients = await Promise.all(
      ['/a?user=né', '/b?user=né', '/a?user=n', '/a'].map((path) => harness.client(path)),
    );
    await context?.sendToUser('né', 'hello');
    await context?.sendToUser('né', Buffer.from('00ff', 'hex'));
    await context?.sendToUser('nobody', 'hello');
    for (const client of clients.slice(0, 2)) {
      expect(await client.nextMessage()).toMatchObject({ text: 'hello', isBinary: false });
      expect((await client.nextMessage()).data.toString('hex')).toBe('00ff');
    }
    harness.publish('a', 'to all of the channel');
    for (const client of clients.slice(2)) expect((await client.nextMessage()).text).toContain('to all');
    expect(await harness.count('control_messages')).toBe(3);
    await Promise.all(clients.map((client) => client.close()));
  });

  it('are closed, with 4500 unless it is said otherwise', async () => {
    const { context } = harness;
    const clients = await Promise.all(
      ['/a?user=one', '/b?user=one', '/a?user=two', '/a'].map((path) => harness.client(path)),
    );
    await context?.disconnectUser('one');
    await context?.disconnectUser('two', { code: 4600, reason: 'go' });
    for (const client of clients.slice(0, 2)) expect(await client.closed).toEqual({ code: 4500, reason: '' });
    expect(await clients.at(2)!.closed).toEqual({ code: 4600, reason: 'go' });
    await clients.at(3)!.roundTrip();
    await clients.at(3)!.close();
  });

  it('are never those of nobody, which no worker would understand', async () => {
    const { context } = harness;
    for (const user of [undefined, '', 5]) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- JavaScript has no compiler.
      const nobody = user as string;
      await expect(context?.sendToUser(nobody, 'hello')).rejects.toThrow(RangeError);
      await expect(context?.disconnectUser(nobody)).rejects.toThrow(RangeError);
    }
    expect(await harness.count('control_malformed')).toBe(0);
  });

  it('are those that have the user now', async () => {
    const { context } = harness;
    const client = await harness.client('/a?user=one');
    client.send('two');
    await client.roundTrip();
    await context?.sendToUser('one', 'not for it');
    await context?.sendToUser('two', 'for it');
    expect((await client.nextMessage()).text).toBe('for it');
    client.send('');
    await client.roundTrip();
    await context?.disconnectUser('two');
    await harness.counts('control_messages', 3);
    await client.roundTrip();
    await client.close();
  });

  it('are not sent to once a close has begun, nor confused with who comes next', async () => {
    const { context } = harness;
    const client = await harness.open('/a?user=one');
    await context?.disconnectUser('one');
    await context?.sendToUser('one', 'too late');
    await harness.counts('control_messages', 2);
    expect((await client.read(4)).toString('hex')).toBe('88021194');
    expect(client.unread).toHaveLength(0);
    await client.close();
    await harness.counts('closed', 1);
    const next = await harness.client('/a');
    await context?.sendToUser('one', 'not for it');
    await harness.counts('control_messages', 3);
    await next.roundTrip();
    await next.close();
  });

  it('cannot be named otherwise, nor closed with what is no code', async () => {
    const { context } = harness;
    for (const user of ['', 'x'.repeat(257), '\ud800', JSON.parse('7')]) {
      await expect(context?.sendToUser(user, 'x')).rejects.toThrow(RangeError);
      await expect(context?.disconnectUser(user)).rejects.toThrow(RangeError);
    }
    await expect(context?.disconnectUser('one', { code: 1006 })).rejects.toThrow('a close code is 1000 to');
    await expect(context?.disconnectUser('one', { reason: 'x'.repeat(124) })).rejects.toThrow(
      'at most 123 bytes',
    );
    expect(await harness.count('control_messages')).toBe(0);
  });
});

describe('a malformed control message', () => {
  it.each([
    'not JSON',
    'null',
    '[]',
    '7',
    { type: 'reboot' },
    { type: 'disconnect' },
    { type: 'disconnect', channel: 7 },
    { type: 'disconnect', channel: '' },
    { type: 'disconnect', channel: 'x'.repeat(256) },
    { type: 'disconnect', channel: 'news', code: 1006 },
    { type: 'disconnect', channel: 'news', code: '4500' },
    { type: 'disconnect', channel: 'news', reason: 'x'.repeat(124) },
    { type: 'disconnect', channel: 'news', reason: 7 },
    { type: 'disconnect', channel: 'news', user: 'one' },
    { type: 'disconnect', user: '' },
    { type: 'disconnect', user: 'x'.repeat(257) },
    { type: 'disconnect', user: 7 },
    { type: 'send', user: 'one' },
    { type: 'send', data: 'x' },
    { type: 'send', channel: 'news', data: 'x' },
    { type: 'send', user: 'one', data: 7 },
    { type: 'send', user: 'one', data: 'x', base64: 'AAE=' },
  ])('is counted, logged and ignored: %j', async (message) => {
    const client = await harness.client('/news');
    harness.control(message);
    await harness.counts('control_malformed', 1);
    expect(harness.logs.map((line) => line.message)).toContain('control message ignored');
    expect(await harness.count('control_messages')).toBe(0);
    await client.roundTrip();
    await client.close();
  });
});
