import { afterEach, describe, expect, it } from 'vitest';
import { readFrames, type RawClient, seededRandom, testSeed } from '@roost/testing';
import { accept, type App } from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import { poll, textFrame, WorkerHarness } from '../fixtures/worker-harness.ts';

/** One client, and what the test knows of it. */
interface Peer {
  readonly client: RawClient;
  readonly connection: Connection;
  readonly channels: Set<string>;
  /** Published while it was subscribed. */
  readonly owed: Set<string>;
  /** Was under way when it came or left: it may have got that or not. */
  readonly optional: Set<string>;
  isClosed: boolean;
}

const CHANNELS = ['a', 'b', 'c'];
const connections: Connection[] = [];
const APP: App = {
  upgrade: () => accept({ channels: CHANNELS }),
  open: (connection) => void connections.push(connection),
  message: (connection, data) => void connection.send(`direct ${String(data)}`),
};

let harness: WorkerHarness;
afterEach(async () => {
  await harness.stop();
  connections.length = 0;
});

/** The texts of all frames that have arrived. */
function textsOf(client: RawClient): string[] {
  return readFrames(client.unread).map(({ first, payload }) => {
    expect(first, 'every frame is a whole text').toBe(0x81);
    return payload.toString();
  });
}

/** A publication that only tells how far the worker is: nobody is owed it. */
function isMark(text: string): boolean {
  return text.includes(' mark ') || text.startsWith('direct ');
}

/**
 * Everybody who was subscribed all the time gets every publication once and in order; who left gets nothing that was
 * published afterwards; nobody gets anything twice. Publications are numbered by channel, and padded when clients are
 * slow, so that they have queues.
 */
async function interleave(seed: number, isSlow: boolean): Promise<void> {
  const random = seededRandom(seed);
  harness = await WorkerHarness.start(APP, {
    capacity: 256,
    maxOutboundBytes: 64 * 1024 * 1024,
    // 32 sends a turn of the event loop: a broadcast takes several.
    beyondLimits: { broadcastSliceMs: 0.001 },
  });
  /** Subscribed to everything for the whole time, so that every channel stays confirmed. */
  const witness = await harness.open();
  const peers: Peer[] = [];
  for (let index = 1; index <= 150; index++) {
    const client = await harness.open();
    await poll(() => connections.length).toBe(index + 1);
    const connection = connections[index];
    if (connection === undefined) expect.unreachable();
    const facts = { channels: new Set(CHANNELS), owed: new Set<string>(), optional: new Set<string>() };
    peers.push({ client, connection, ...facts, isClosed: false });
    if (isSlow && index % 4 === 0) client.pause();
  }
  let marks = 0;
  /** Behind the second mark of a channel the walk of the first, and all before it, have ended. */
  const settle = async (): Promise<void> => {
    marks++;
    for (const turn of [1, 2])
      for (const channel of CHANNELS) harness.publish(channel, `${channel} mark ${marks}.${turn}.`);
    const hasArrived = (channel: string): boolean => witness.unread.includes(`${channel} mark ${marks}.2.`);
    await poll(() => CHANNELS.every(hasArrived)).toBe(true);
  };
  const padding = isSlow ? '.'.repeat(5000) : '';
  const numbers = new Map(CHANNELS.map((name) => [name, 0]));
  const underWay: { text: string; channel: string }[] = [];
  const excuse = (peer: Peer, channel: string): void => {
    for (const publication of underWay)
      if (publication.channel === channel) peer.optional.add(publication.text);
  };

  for (let step = 0; step < 1500; step++) {
    const peer = peers[random(peers.length)];
    const channel = CHANNELS[random(CHANNELS.length)] ?? 'a';
    if (peer === undefined) expect.unreachable();
    const choice = random(100);
    if (choice < 20) {
      const number = (numbers.get(channel) ?? 0) + 1;
      numbers.set(channel, number);
      const text = `${channel} ${number} ${padding}`;
      harness.publish(channel, text);
      underWay.push({ text, channel });
      for (const other of peers) if (other.channels.has(channel)) other.owed.add(text);
    } else if (choice < 40) {
      if (peer.isClosed) continue;
      expect(peer.connection.unsubscribe(channel)).toBe(peer.channels.delete(channel));
      excuse(peer, channel);
    } else if (choice < 60) {
      if (peer.isClosed || peer.channels.has(channel)) continue;
      excuse(peer, channel);
      peer.channels.add(channel);
      expect(await peer.connection.subscribe(channel)).toBe(true);
    } else if (choice < 70) {
      if (!peer.isClosed) peer.client.write(textFrame(String(step)));
    } else if (choice < 72) {
      peer.isClosed = true;
      peer.channels.clear();
      if (choice === 70) peer.connection.terminate();
      else peer.client.reset();
    } else if (choice < 98) {
      await new Promise(setImmediate);
    } else {
      await settle();
      underWay.length = 0;
    }
  }
  for (const peer of peers) if (!peer.isClosed) peer.client.resume();
  await settle();

  const left = peers.filter(({ isClosed }) => !isClosed);
  for (const { client, channels } of left) {
    const isDone = (channel: string): boolean => client.unread.includes(`${channel} mark ${marks}.2.`);
    await poll(() => [...channels].every(isDone)).toBe(true);
  }
  for (const peer of left) {
    const about = `seed ${seed}, connection ${peer.connection.id}`;
    const texts = textsOf(peer.client).filter((text) => !isMark(text));
    const got = new Set(texts);
    expect(got.size, `${about}: nothing twice`).toBe(texts.length);
    for (const channel of CHANNELS) {
      const order = texts
        .filter((text) => text.startsWith(`${channel} `))
        .map((text) => Number(text.split(' ')[1]));
      expect(order, `${about}: ${channel} in order`).toEqual(order.toSorted((one, other) => one - other));
    }
    const missing = [...peer.owed].filter((text) => !got.has(text) && !peer.optional.has(text));
    expect(missing.map(brief), `${about}: nothing missing`).toEqual([]);
    const unexpected = texts.filter((text) => !peer.owed.has(text) && !peer.optional.has(text));
    expect(unexpected.map(brief), `${about}: nothing after leaving`).toEqual([]);
  }
  await Promise.all([witness, ...peers.map(({ client }) => client)].map((client) => client.close()));
}

function brief(text: string): string {
  return text.slice(0, 8);
}

describe('publications among subscribe, unsubscribe, close and send', () => {
  it.each(Array.from({ length: 3 }, testSeed))(
    'reach whom they must, once and in order (seed %i)',
    async (seed) => {
      await interleave(seed, false);
    },
  );

  it.each(Array.from({ length: 2 }, testSeed))(
    'also with clients that do not read (seed %i)',
    async (seed) => {
      await interleave(seed, true);
    },
  );
});

describe('a broadcast that takes several slices', () => {
  it('does not reach who left between two of them, and reaches each of the others once', async () => {
    harness = await WorkerHarness.start(APP, { capacity: 300, beyondLimits: { broadcastSliceMs: 0.001 } });
    const clients: RawClient[] = [];
    for (let index = 0; index < 300; index++) clients.push(await harness.open());
    await poll(() => connections.length).toBe(300);
    for (let number = 0; number < 20; number++) harness.publish('a', `a ${number}`);
    // The first 32 are sent to in one slice: when one of them has its message, the others wait for theirs.
    await poll(() => clients.some((client) => client.unread.includes('a 0'))).toBe(true);
    for (const [index, connection] of connections.entries()) {
      if (leaving(index)) expect(connection.unsubscribe('a')).toBe(true);
    }
    await poll(() => clients.every((client, index) => leaving(index) || client.unread.includes('a 19'))).toBe(
      true,
    );
    const whole = Array.from({ length: 20 }, (_, number) => `a ${number}`);
    let cutShort = 0;
    for (const [index, client] of clients.entries()) {
      const texts = textsOf(client);
      if (!leaving(index)) expect(texts).toEqual(whole);
      else expect(texts).toEqual(whole.slice(0, texts.length));
      if (texts.length < 20) cutShort++;
    }
    expect(cutShort).toBeGreaterThan(0);
    await Promise.all(clients.map((client) => client.close()));
  });

  it('lets a small channel go first', async () => {
    harness = await WorkerHarness.start(
      { ...APP, upgrade: ({ path }) => accept({ channels: [path.slice(1)] }) },
      { capacity: 1000, broadcastSliceMs: 0.1 },
    );
    const large: RawClient[] = [];
    for (let index = 0; index < 400; index++) large.push(await harness.open('/large'));
    const small = await harness.open('/small');
    for (let index = 0; index < 100; index++) harness.publish('large', 'x');
    harness.publish('small', 'me');
    await small.read(4);
    expect(await harness.count('deliveries')).toBeLessThan(40_001);
    await harness.counts('deliveries', 40_001);
    await Promise.all(large.map((client) => client.close()));
  });
});

/** What the worker has said about turns: true that it wants one. */
function turnsSaid(): boolean[] {
  return harness.said.flatMap((message) => (message.type === 'lease' ? [message.isWanted] : []));
}

async function openMany(count: number, path: string): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (let index = 0; index < count; index++) clients.push(await harness.open(path));
  return clients;
}

describe('a worker that shares its CPU', () => {
  const APP_OF_PATHS: App = { ...APP, upgrade: ({ path }) => accept({ channels: [path.slice(1)] }) };
  const LARGE = 1000;

  it('broadcasts to a large channel when its turn has come, once, and gives the turn back', async () => {
    // On a busy machine 3,000 sends may take longer than the turn lasts by default.
    const options = { capacity: LARGE, sharesCpu: true, broadcastTurnMs: 10_000 };
    harness = await WorkerHarness.start(APP_OF_PATHS, options);
    const clients = await openMany(LARGE, '/large');
    for (const text of ['1', '2', '3']) harness.publish('large', text);
    await poll(turnsSaid).toEqual([true]);
    await harness.counts('publications', 3);
    expect(await harness.count('deliveries')).toBe(0);
    harness.send({ type: 'lease' });
    await harness.counts('deliveries', 3 * LARGE);
    await poll(turnsSaid).toEqual([true, false]);
    for (const client of clients) {
      expect((await client.read(9)).toString('hex')).toBe('810131810132810133');
      await client.close();
    }
  });

  it('lets small channels wait for nobody, also while a large one waits', async () => {
    harness = await WorkerHarness.start(APP_OF_PATHS, { capacity: LARGE + 1, sharesCpu: true });
    const clients = await openMany(LARGE, '/large');
    const small = await harness.open('/small');
    harness.publish('small', 'one');
    await small.read(5);
    expect(turnsSaid()).toEqual([]);
    harness.publish('large', 'x');
    await poll(turnsSaid).toEqual([true]);
    harness.publish('small', 'two');
    await small.read(5);
    expect(await harness.count('deliveries')).toBe(2);
    harness.send({ type: 'lease' });
    await harness.counts('deliveries', 2 + LARGE);
    for (const client of [small, ...clients]) await client.close();
  });

  it('asks again after broadcastTurnMs, and sends nothing twice when it goes on', async () => {
    harness = await WorkerHarness.start(APP_OF_PATHS, {
      capacity: LARGE,
      sharesCpu: true,
      // One slice, of 32 sends, is as long as a turn: the next one needs another.
      beyondLimits: { broadcastTurnMs: 0.001, broadcastSliceMs: 0.001 },
    });
    const clients = await openMany(LARGE, '/large');
    harness.publish('large', 'x');
    for (let asked = 1; ; asked++) {
      await poll(() => turnsSaid().filter((isWanted) => isWanted).length).toBe(asked);
      expect(await harness.count('deliveries')).toBe(32 * (asked - 1));
      harness.send({ type: 'lease' });
      await poll(() => turnsSaid().length).toBe(asked + 1);
      if (turnsSaid().at(-1) === false) break;
    }
    expect(await harness.count('deliveries')).toBe(LARGE);
    for (const client of clients) {
      expect((await client.read(3)).toString('hex')).toBe('810178');
      expect(client.unread).toHaveLength(0);
      await client.close();
    }
  });

  it('takes no turns when broadcastTurnMs is 0', async () => {
    harness = await WorkerHarness.start(APP_OF_PATHS, {
      capacity: LARGE,
      sharesCpu: true,
      broadcastTurnMs: 0,
    });
    const clients = await openMany(LARGE, '/large');
    harness.publish('large', 'x');
    await harness.counts('deliveries', LARGE);
    expect(turnsSaid()).toEqual([]);
    for (const client of clients) await client.close();
  });
});

/** Every other one leaves. */
function leaving(index: number): boolean {
  return index % 2 === 1;
}
