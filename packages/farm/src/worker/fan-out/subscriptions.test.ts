import { eventually } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import {
  type HarnessOptions,
  poll,
  serverText,
  upgradeHead,
  WorkerHarness,
} from '../fixtures/worker-harness.ts';

const opened: Connection[] = [];
const APP: App = {
  upgrade: ({ query }) => accept({ channels: query.getAll('channel') }),
  open: (connection) => void opened.push(connection),
  message: (connection, data) => void connection.publish('echo', data),
};

let harness: WorkerHarness;
afterEach(async () => {
  await harness.stop();
  opened.length = 0;
});

async function start(options: HarnessOptions = {}): Promise<void> {
  harness = await WorkerHarness.start(APP, options);
}

describe('the channels of an acceptance', () => {
  it('are confirmed before the 101: who has it misses nothing', async () => {
    await start();
    for (let round = 0; round < 20; round++) {
      const client = await harness.connect();
      client.writeText(upgradeHead(`/?channel=room${round}`));
      await client.readHead();
      harness.publish(`room${round}`, 'first');
      expect((await client.read(7)).toString('hex')).toBe(serverText('first'));
      await client.close();
    }
  });

  it('are answered in one tick when they are confirmed already', async () => {
    await start({ maxHandshakes: 1 });
    const first = await harness.open('/?channel=news');
    const others = await Promise.all(Array.from({ length: 10 }, () => harness.open('/?channel=news')));
    harness.publish('news', 'all');
    for (const client of [first, ...others]) {
      expect((await client.read(5)).toString('hex')).toBe(serverText('all'));
      await client.close();
    }
    expect(await harness.count('refused_handshakes')).toBe(0);
  });

  it('that are on their way for another connection are waited for as well', async () => {
    await start();
    harness.silenceExchange();
    const waiting = [await harness.connect(), await harness.connect()];
    for (const client of waiting) {
      client.writeText(upgradeHead('/?channel=news'));
      await eventually(() => harness.unheardCount === 1, { what: 'the channel is asked for once' });
    }
    // Whatever those clients were to get at once they would have by now.
    await Promise.all((await Promise.all([harness.open(), harness.open()])).map((client) => client.close()));
    expect(waiting.map(({ received }) => received.length)).toEqual([0, 0]);
    harness.resumeExchange();
    for (const client of waiting) await client.readHead();
    harness.publish('news', 'all');
    for (const client of waiting) {
      expect((await client.read(5)).toString('hex')).toBe(serverText('all'));
      await client.close();
    }
  });

  it('named twice are one subscription', async () => {
    await start();
    const client = await harness.client('/?channel=news&channel=news');
    expect((await harness.report()).subscriptions).toBe(1);
    harness.publish('news', 'once');
    harness.publish('news', 'twice');
    expect((await client.nextMessage()).text).toBe('once');
    expect((await client.nextMessage()).text).toBe('twice');
    await client.close();
    await poll(async () => (await harness.report()).subscriptions).toBe(0);
  });

  it.each([
    ['too many', '/?channel=a&channel=b&channel=c&channel=d', 'at most 3 channels per connection, got 4'],
    ['without a name', '/?channel=', 'a channel name must not be empty'],
    ['with a control character', '/?channel=a%0Ab', 'a channel name must not contain control characters'],
    ['too long', '/?channel=abcde', 'a channel name must have at most 4 bytes of UTF-8, got 5'],
  ])('that are %s refuse the upgrade with 400', async (_what, path, reason) => {
    await start({ maxSubscriptionsPerConnection: 3, maxChannelBytes: 4 });
    await expect(harness.client(path)).rejects.toMatchObject({ status: 400, body: reason });
  });

  it('that the broker does not confirm within subscribeTimeoutMs refuse with 503', async () => {
    await start({ subscribeTimeoutMs: 100 });
    harness.exchange.stop();
    const client = await harness.connect();
    client.writeText(upgradeHead('/?channel=news'));
    const head = await client.readHead();
    expect(head).toMatch(/^HTTP\/1\.1 503 /);
    expect(head).toContain('\r\nRetry-After: 5\r\n');
    await client.closed;
    expect(await harness.count('refused_subscribe')).toBe(1);
    expect((await harness.ask({ question: 'channels', pattern: '*' })) as unknown).toEqual({
      kind: 'channels',
      channels: [],
    });
  });
});

describe('subscribe()', () => {
  it('waits for a channel that is on its way for another connection', async () => {
    await start();
    const clients = [await harness.client(), await harness.client()];
    harness.silenceExchange();
    const outcomes: boolean[] = [];
    const subscribed = opened.map(async (connection) => outcomes.push(await connection.subscribe('news')));
    for (const client of clients) await client.roundTrip();
    expect(outcomes).toEqual([]);
    harness.resumeExchange();
    await Promise.all(subscribed);
    expect(outcomes).toEqual([true, true]);
    for (const client of clients) await client.close();
  });

  it('resolves to false when the connection has unsubscribed meanwhile', async () => {
    await start();
    const client = await harness.client();
    harness.silenceExchange();
    const subscribed = opened[0]?.subscribe('news');
    expect(opened[0]?.unsubscribe('news')).toBe(true);
    harness.resumeExchange();
    expect(await subscribed).toBe(false);
    await client.close();
  });

  it('rejects when the broker does not confirm in time; the connection stays, without the channel', async () => {
    await start({ subscribeTimeoutMs: 100 });
    const client = await harness.client();
    harness.exchange.stop();
    await expect(opened[0]?.subscribe('late')).rejects.toMatchObject({ code: 'BROKER_SUBSCRIBE_TIMEOUT' });
    expect(opened[0]?.channels).toEqual([]);
    await client.roundTrip();
    await client.close();
  });
});

describe('a publication', () => {
  it('reaches every subscriber, the sender included, text or binary by its bytes', async () => {
    await start();
    const clients = [await harness.client('/?channel=echo'), await harness.client('/?channel=echo')];
    clients[0]?.send('ä');
    for (const client of clients) {
      expect(await client.nextMessage()).toMatchObject({ text: 'ä', isBinary: false });
    }
    clients[0]?.send(Buffer.from('c3', 'hex'));
    for (const client of clients) {
      const { data, isBinary } = await client.nextMessage();
      expect([data.toString('hex'), isBinary]).toEqual(['c3', true]);
      await client.close();
    }
  });

  it('does not reach who has unsubscribed before', async () => {
    await start();
    const leaving = await harness.client('/?channel=news');
    const staying = await harness.client('/?channel=news');
    opened[0]?.unsubscribe('news');
    harness.publish('news', 'who is there?');
    expect((await staying.nextMessage()).text).toBe('who is there?');
    await leaving.roundTrip();
    expect(leaving.messageCount).toBe(0);
    await Promise.all([leaving.close(), staying.close()]);
  });

  it('beyond maxBroadcastQueueBytes is dropped, counted, logged once, and told to the subscribers of its channel alone', async () => {
    await start({ beyondLimits: { maxBroadcastQueueBytes: 1500 } });
    const clients = [
      await harness.client('/?channel=news'),
      await harness.client('/?channel=news&channel=chat'),
      await harness.client('/?channel=chat'),
      await harness.client('/'),
    ];
    for (let index = 0; index < 1000; index++) harness.publish('news', Buffer.alloc(600, 'x'));
    await clients[0]?.nextMessage();
    await eventually(async () => {
      const dropped = await harness.count('publications_dropped');
      return dropped > 0 && dropped + (await harness.count('publications')) === 1000;
    });
    expect(opened.map(({ hasGap }) => hasGap)).toEqual([true, true, false, false]);
    expect(await harness.count('connections_with_gap')).toBe(2);
    const lines = harness.logs.filter(({ message }) => message.startsWith('publications dropped'));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ level: 'warn', fields: { channel: 'news', dropped: 1, channels: 1 } });
    // Who comes later has missed nothing.
    const late = await harness.client('/?channel=news');
    expect(opened.at(-1)?.hasGap).toBe(false);
    for (const client of [...clients, late]) await client.close();
  });

  it('waits with the broker when sending is behind and no channel has more than its share', async () => {
    await start({ beyondLimits: { maxBroadcastQueueBytes: 262_144 } });
    const names = Array.from({ length: 8 }, (_, index) => `${index}`);
    const client = await harness.client(`/?${names.map((name) => `channel=${name}`).join('&')}`);
    for (let index = 0; index < 100; index++)
      for (const name of names) harness.publish(name, `${name} ${index}`);
    await eventually(
      async () =>
        (await harness.count('publications')) + (await harness.count('publications_dropped')) === 800,
    );
    expect(await harness.count('broker_pauses')).toBeGreaterThan(0);
    // And it reads on.
    harness.publish('7', 'end');
    for (let text = ''; text !== 'end';) ({ text } = await client.nextMessage());
    await client.close();
  });

  it('of a quiet channel arrives whole, in order and soon while another channel is flooded', async () => {
    await start({ beyondLimits: { maxBroadcastQueueBytes: 65_536 } });
    const flooded = await Promise.all([1, 2, 3, 4].map(() => harness.client('/?channel=flooded')));
    const quiet = await harness.client('/?channel=quiet');
    const expected: string[] = [];
    for (let round = 0; round < 20; round++) {
      for (let index = 0; index < 2000; index++) harness.publish('flooded', 'x');
      const text = `${round} ${'.'.repeat(400)}`;
      expected.push(text);
      harness.publish('quiet', text);
      // The flood before it waits still: what arrives meanwhile of the flood is bounded by the slices.
      const before = flooded[0]?.messageCount ?? 0;
      expect((await quiet.nextMessage()).text).toBe(text);
      expect((flooded[0]?.messageCount ?? 0) - before).toBeLessThan(1000);
    }
    expect(await harness.count('publications_dropped')).toBeGreaterThan(10_000);
    expect(await harness.count('broker_pauses')).toBe(0);
    expect(opened.map(({ hasGap }) => hasGap)).toEqual([true, true, true, true, false]);
    for (const client of [...flooded, quiet]) await client.close();
  });
});

describe('the channels question of the master', () => {
  it('is answered with the channels that match, and their subscribers here', async () => {
    await start();
    const clients = [
      await harness.client('/?channel=news.a&channel=chat'),
      await harness.client('/?channel=news.a&channel=news.b'),
    ];
    expect(await harness.ask({ question: 'channels', pattern: 'news.*' })).toEqual({
      kind: 'channels',
      channels: [
        { channel: 'news.a', subscribers: 2 },
        { channel: 'news.b', subscribers: 1 },
      ],
    });
    for (const client of clients) await client.close();
    await poll(() => harness.ask({ question: 'channels', pattern: '*' })).toEqual({
      kind: 'channels',
      channels: [],
    });
  });
});

describe('a worker that did not read', () => {
  it('marks the connections that may have missed something', async () => {
    await start();
    const client = await harness.client('/?channel=news');
    const without = await harness.client('/');
    harness.send({ type: 'broker', message: { type: 'gap', channelCount: 1, droppedCount: 3, sinceMs: 5 } });
    await harness.counts('broker_gaps', 1);
    expect(opened.map(({ hasGap }) => hasGap)).toEqual([true, false]);
    expect(await harness.count('connections_with_gap')).toBe(1);
    await Promise.all([client.close(), without.close()]);
  });

  it('marks only subscribers of the channels that are known to have lost something', async () => {
    await start();
    const clients = [
      await harness.client('/?channel=news&channel=chat'),
      await harness.client('/?channel=chat'),
    ];
    const gap = {
      type: 'gap',
      channelCount: 2,
      channels: ['news', 'left'],
      droppedCount: 3,
      sinceMs: 5,
    } as const;
    harness.send({ type: 'broker', message: gap });
    await harness.counts('broker_gaps', 1);
    expect(opened.map(({ hasGap }) => hasGap)).toEqual([true, false]);
    for (const client of clients) await client.close();
  });
});
