import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import { eventually, startRedis } from '@roost/testing';
import type { FarmProcess, RedisFixture, TestClient } from '@roost/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PlainRedisClient } from './harness/redis-client.ts';
import {
  API_KEY,
  call,
  connect,
  connectMany,
  connectRaw,
  counter,
  endAfterTest,
  info,
  startFarm,
  startSharedFarm,
  upgradeRequest,
} from './harness/system.ts';

/** All that has arrived at a client, the answer to a ping included, so that nothing is still on its way to it. */
async function received(client: TestClient): Promise<string[]> {
  await client.roundTrip();
  return client.waitingMessages.map(({ text }) => text);
}

/** POSTs JSON over a connection of the agent's. */
async function post(
  farm: FarmProcess,
  agent: Agent,
  path: string,
  body: object,
): Promise<{ readonly status: number | undefined; readonly body: string }> {
  const headers = { 'X-API-Key': API_KEY };
  const request = httpRequest({ port: farm.port, agent, path, method: 'POST', headers });
  request.end(JSON.stringify(body));
  const [response]: IncomingMessage[] = await once(request, 'response');
  return { status: response!.statusCode, body: await textOf(response!) };
}

describe('a publication of a plain Redis client', () => {
  let redis: RedisFixture;
  let farms: FarmProcess[];

  beforeAll(async () => {
    redis = await startRedis();
    farms = await Promise.all([
      startSharedFarm(['--redis-url', redis.url]),
      startSharedFarm(['--redis-url', redis.url]),
    ]);
  });

  afterAll(async () => {
    await Promise.all(farms.map((farm) => farm.stop()));
    await redis.stop();
  });

  /** Subscribers of a channel, some on each worker of both farms. */
  async function subscribers(channel: string): Promise<TestClient[]> {
    // Whoever is still counted from the test before would bend the placement.
    for (const farm of farms) {
      await eventually(async () => expect((await info(farm)).num_clients).toBe(0));
    }
    const clients = await Promise.all(farms.map((farm) => connectMany(farm, `/plain?channel=${channel}`, 6)));
    for (const farm of farms) {
      await eventually(async () => {
        const { workers } = await info(farm);
        expect(Math.min(...workers.map(({ connections }) => connections))).toBeGreaterThan(0);
      });
    }
    return clients.flat();
  }

  it('reaches every subscriber on every worker of both farms exactly once', async () => {
    const clients = await subscribers('news');
    const stranger = await connect(farms[0]!, '/plain?channel=sports');
    const publisher = await PlainRedisClient.connect(redis.port);
    // Redis counts the workers: two of each farm, however many clients each has.
    expect(await publisher.publish('roost:channel:news', 'hello')).toBe(4);
    for (const client of clients) expect((await client.nextMessage()).text).toBe('hello');
    // What came twice would have come before this.
    await publisher.publish('roost:channel:news', 'end');
    for (const client of clients) expect((await client.nextMessage()).text).toBe('end');
    for (const client of clients) expect(client.messageCount).toBe(2);
    expect(await received(stranger)).toEqual([]);
  });

  it.each([
    ['text when it is UTF-8', Buffer.from('h\u00e9llo \u{1f426}'), false],
    ['binary when it is not', Buffer.from('c328', 'hex'), true],
    ['an empty text when it is empty', Buffer.alloc(0), false],
    ['whole when it has 64 KiB of text', Buffer.alloc(65_536, 'roost '), false],
    ['whole when it has 64 KiB of bytes', Buffer.alloc(65_536, 0xfe), true],
    ['whole when it has a megabyte', Buffer.alloc(1_048_576, 'z'), false],
  ])('arrives as %s', async (_, payload, isBinary) => {
    const clients = await subscribers('kinds');
    const publisher = await PlainRedisClient.connect(redis.port);
    await publisher.publish('roost:channel:kinds', payload);
    for (const client of clients) {
      const message = await client.nextMessage();
      expect(message.data.equals(payload)).toBe(true);
      expect(message.isBinary).toBe(isBinary);
    }
  });

  it('arrives in the order in which it was published, a thousand times', async () => {
    const clients = await subscribers('order');
    const publisher = await PlainRedisClient.connect(redis.port);
    const payloads = Array.from({ length: 1000 }, (_, index) => `${index} ${'.'.repeat(index % 300)}`);
    await publisher.publishAll('roost:channel:order', payloads);
    for (const client of clients) {
      const messages: string[] = [];
      while (messages.length < payloads.length) messages.push((await client.nextMessage()).text);
      expect(messages).toEqual(payloads);
    }
    for (const client of clients) expect(await received(client)).toEqual([]);
  });

  it('is never missed by who has the 101, however soon after it follows', async () => {
    const publisher = await PlainRedisClient.connect(redis.port);
    for (let index = 0; index < 200; index++) {
      // Every other time a channel that nobody of this worker has: its SUBSCRIBE must be confirmed before the 101.
      const channel = index % 2 === 0 ? `fresh-${index}` : 'shared';
      const raw = await connectRaw(farms[index % 4 < 2 ? 0 : 1]!.port);
      raw.writeText(upgradeRequest(`/plain?channel=${channel}`));
      expect(await raw.readHead()).toMatch(/^HTTP\/1\.1 101 /);
      await publisher.publish(`roost:channel:${channel}`, 'now');
      // FIN, text, 3 bytes.
      expect((await raw.read(5)).toString('hex')).toBe('81036e6f77');
      await raw.close();
    }
  });

  it('reaches a client once for each of its channels', async () => {
    const client = await connect(farms[0]!, '/plain?channel=one&channel=two');
    const publisher = await PlainRedisClient.connect(redis.port);
    await publisher.publish('roost:channel:one', '1');
    await publisher.publish('roost:channel:two', '2');
    await publisher.publish('roost:channel:three', '3');
    await publisher.publish('roost:channel:one', 'end');
    for (const text of ['1', '2', 'end']) expect((await client.nextMessage()).text).toBe(text);
  });
});

describe.each([['Redis'], ['the embedded broker']])('a flooded channel over %s', (kind) => {
  it('loses its own publications, which its subscribers are told, and no other channel any', async () => {
    const redis = kind === 'Redis' ? await startRedis() : undefined;
    if (redis !== undefined) endAfterTest(() => redis.stop());
    const broker = redis === undefined ? [] : ['--redis-url', redis.url];
    const farm = await startFarm([
      '--max-broadcast-queue-bytes=65536',
      '--slow-consumer-policy=drop',
      ...broker,
    ]);
    const flooded = await connectMany(farm, '/news?channel=flooded', 10);
    const quiet = await connectMany(farm, '/news?channel=quiet', 4);
    const publish = async (channel: string, texts: string[]): Promise<void> => {
      if (redis === undefined) for (const text of texts) flooded[0]!.send(`${channel} ${text}`);
      else await (await PlainRedisClient.connect(redis.port)).publishAll(`roost:channel:${channel}`, texts);
    };
    const flood = Array.from({ length: 3000 }, () => 'x');
    for (const text of ['1', '2', '3']) {
      await publish('flooded', flood);
      await publish('quiet', [text]);
      for (const client of quiet) expect((await client.nextMessage()).text).toBe(text);
    }
    const { counters } = await info(farm);
    expect(counters['publications_dropped']).toBeGreaterThan(0);
    expect(counters['connections_with_gap']).toBe(10);
    expect(counters['broker_gaps']).toBe(0);
    const lines = farm.logs.filter(({ msg }) => msg === 'publications dropped: broadcast queue is full');
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(line).toMatchObject({ channel: 'flooded', channels: 1 });
  });
});

describe('workers that share a CPU', () => {
  it('broadcast to a large channel in turns, and every subscriber has each publication once, in order', async () => {
    const farm = await startFarm([], { onOneCpu: true });
    // A channel is large with a thousand on one worker; placement is even to 1 in 64.
    const clients = await connectMany(farm, '/plain?channel=all', 2200);
    const small = await connect(farm, '/plain?channel=few');
    for (const data of ['1', '2', '3']) await call(farm, 'publish', { channel: 'all', data });
    await call(farm, 'publish', { channel: 'few', data: 'me' });
    expect((await small.nextMessage()).text).toBe('me');
    for (const client of clients) {
      for (const text of ['1', '2', '3']) expect((await client.nextMessage()).text).toBe(text);
    }
    expect(clients.every(({ messageCount }) => messageCount === 3)).toBe(true);
    const { workers } = await info(farm);
    expect(new Set(workers.map(({ cpu }) => cpu)).size).toBe(1);
    expect(await counter(farm, 'broadcast_turns')).toBeGreaterThanOrEqual(2);
  });

  it('that die while they have the turn, or wait for it, hold up nobody', async () => {
    const farm = await startFarm(['--broadcast-turn-ms', '10000'], { onOneCpu: true });
    const clients = await connectMany(farm, '/plain?channel=all', 2200);
    const [first] = (await info(farm)).workers;
    const data = '.'.repeat(5000);
    await call(farm, 'publish', { channel: 'all', data });
    process.kill(first!.pid, 'SIGKILL');
    await eventually(async () => expect(await counter(farm, 'worker_restarts')).toBe(1));
    const open = (): TestClient[] => clients.filter(({ isClosed }) => !isClosed);
    await eventually(async () => expect((await info(farm)).num_clients).toBe(open().length));
    const left = open();
    expect(left.length).toBeGreaterThan(1000);
    for (const client of left) expect((await client.nextMessage()).text).toBe(data);
    await call(farm, 'publish', { channel: 'all', data: 'next' });
    for (const client of left) expect((await client.nextMessage()).text).toBe('next');
  });
});

describe('the HTTP API', () => {
  let redis: RedisFixture;
  let farms: FarmProcess[];

  beforeAll(async () => {
    redis = await startRedis();
    farms = await Promise.all([
      startSharedFarm(['--redis-url', redis.url]),
      startSharedFarm(['--redis-url', redis.url]),
    ]);
  });

  afterAll(async () => {
    await Promise.all(farms.map((farm) => farm.stop()));
    await redis.stop();
  });

  it('publishes to every subscriber of both farms', async () => {
    const clients = (
      await Promise.all(farms.map((farm) => connectMany(farm, '/plain?channel=news', 4)))
    ).flat();
    expect(await call(farms[0]!, 'publish', { channel: 'news', data: { price: 7 } })).toEqual({
      status: 200,
      body: { result: {} },
    });
    await call(farms[1]!, 'publish', { channel: 'news', b64data: 'wyg=' });
    for (const client of clients) {
      expect(await client.nextMessage()).toMatchObject({ text: '{"price":7}', isBinary: false });
      expect(await client.nextMessage()).toMatchObject({ data: Buffer.from('c328', 'hex'), isBinary: true });
    }
    for (const client of clients) expect(await received(client)).toEqual([]);
  });

  it('broadcasts one message to many channels', async () => {
    const channels = Array.from({ length: 20 }, (_, index) => `room-${index}`);
    const clients = await Promise.all(
      channels.map((channel, index) => connect(farms[index % 2]!, `/plain?channel=${channel}`)),
    );
    const { status, body } = await call(farms[0]!, 'broadcast', { channels, data: 'all of you' });
    expect(status).toBe(200);
    expect(body).toEqual({ result: { responses: channels.map(() => ({ result: {} })) } });
    for (const client of clients) expect((await client.nextMessage()).text).toBe('all of you');
    for (const client of clients) expect(await received(client)).toEqual([]);
  });
});

describe('a control message', () => {
  it('closes the subscribers of a channel on every worker with its code and reason, and nobody else', async () => {
    const redis = await startRedis();
    const farm = await startFarm(['--redis-url', redis.url]);
    try {
      const clients = await connectMany(farm, '/plain?channel=news&channel=weather', 6);
      const others = await connectMany(farm, '/plain?channel=weather', 2);
      const publisher = await PlainRedisClient.connect(redis.port);
      await publisher.publish(
        'roost:control',
        '{"type":"disconnect","channel":"news","code":4500,"reason":"the room is closed"}',
      );
      for (const client of clients) {
        expect(await client.closed).toEqual({ code: 4500, reason: 'the room is closed' });
      }
      await publisher.publish('roost:channel:weather', 'rain');
      for (const other of others) expect((await other.nextMessage()).text).toBe('rain');
      expect(await counter(farm, 'control_messages')).toBe(2);
      expect(await counter(farm, 'control_malformed')).toBe(0);
    } finally {
      await farm.stop();
      await redis.stop();
    }
  });

  it('is ignored, logged and counted when it is malformed', async () => {
    const redis = await startRedis();
    const farm = await startFarm(['--redis-url', redis.url]);
    try {
      const [client] = await connectMany(farm, '/plain?channel=news', 2);
      const publisher = await PlainRedisClient.connect(redis.port);
      const malformed = [
        '',
        'disconnect news',
        '\u0000\u00ff',
        'null',
        '[]',
        '{"type":"reboot","channel":"news"}',
        '{"type":"disconnect"}',
        '{"type":"disconnect","channel":7}',
        '{"type":"disconnect","channel":""}',
        '{"type":"disconnect","channel":"news","code":1005}',
        '{"type":"disconnect","channel":"news","code":"4500"}',
        `{"type":"disconnect","channel":"news","reason":"${'x'.repeat(124)}"}`,
        '{"__proto__":{"type":"disconnect","channel":"news"}}',
      ];
      await publisher.publishAll('roost:control', malformed);
      // Both workers hear each of them.
      await eventually(async () =>
        expect(await counter(farm, 'control_malformed')).toBe(2 * malformed.length),
      );
      const ignored = farm.logs.filter(({ msg }) => msg === 'control message ignored');
      expect(ignored).toHaveLength(2 * malformed.length);
      expect(ignored.map(({ problem }) => problem)).toContain('it is not JSON');
      await publisher.publish('roost:channel:news', 'still here');
      expect((await client!.nextMessage()).text).toBe('still here');
    } finally {
      await farm.stop();
      await redis.stop();
    }
  });
});

describe('without Redis', () => {
  it('what an application publishes on one worker reaches the subscribers of all, once and in order', async () => {
    const farm = await startFarm();
    const clients = await connectMany(farm, '/news?channel=news', 6);
    const [publisher] = clients;
    const { workers } = await info(farm);
    expect(workers.map(({ connections }) => connections)).toEqual([3, 3]);
    const texts = Array.from({ length: 1000 }, (_, index) => `number ${index}`);
    for (const text of texts) publisher!.send(`news ${text}`);
    for (const client of clients) {
      const messages: string[] = [];
      while (messages.length < texts.length) messages.push((await client.nextMessage()).text);
      expect(messages).toEqual(texts);
    }
    for (const client of clients) expect(await received(client)).toEqual([]);
    expect(await counter(farm, 'publish_errors')).toBe(0);
  });

  it('two publishers on two workers are heard in one order by everybody', async () => {
    const farm = await startFarm();
    const clients = await connectMany(farm, '/news?channel=news', 4);
    for (let index = 0; index < 200; index++) {
      for (const client of clients) client.send(`news ${clients.indexOf(client)}:${index}`);
    }
    const heard: string[][] = [];
    for (const client of clients) {
      const messages: string[] = [];
      while (messages.length < 800) messages.push((await client.nextMessage()).text);
      heard.push(messages);
    }
    for (const messages of heard) expect(messages).toEqual(heard[0]);
    const ofFirst = heard[0]!.filter((text) => text.startsWith('0:'));
    expect(ofFirst).toEqual(Array.from({ length: 200 }, (_, index) => `0:${index}`));
  });

  it('one publisher on two workers by turns is heard in the order of its requests by everybody', async () => {
    const farm = await startFarm();
    const clients = await connectMany(farm, '/plain?channel=news', 6);
    const agents = new Map<string, Agent>();
    while (agents.size < 2) {
      // One connection, kept alive, is one worker.
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      endAfterTest(() => Promise.resolve(agent.destroy()));
      agents.set((await post(farm, agent, '/pid', {})).body, agent);
    }
    const expected: string[] = [];
    for (let index = 0; index < 200; index++) {
      for (const [worker, agent] of [...agents.values()].entries()) {
        const data = `${index}:${worker}`;
        expect((await post(farm, agent, '/api/publish', { channel: 'news', data })).status).toBe(200);
        expected.push(data);
      }
    }
    for (const client of clients) {
      for (const text of expected) expect((await client.nextMessage()).text).toBe(text);
    }
  });

  it('the HTTP API reaches every worker', async () => {
    const farm = await startFarm();
    const clients = await connectMany(farm, '/plain?channel=news', 4);
    await call(farm, 'publish', { channel: 'news', data: 'hello' });
    for (const client of clients) expect((await client.nextMessage()).text).toBe('hello');
  });

  it('who has the 101 misses nothing', async () => {
    const farm = await startFarm();
    const publisher = await connect(farm, '/news?channel=none');
    for (let index = 0; index < 100; index++) {
      const raw = await connectRaw(farm.port);
      raw.writeText(upgradeRequest(`/plain?channel=fresh-${index}`));
      expect(await raw.readHead()).toMatch(/^HTTP\/1\.1 101 /);
      publisher.send(`fresh-${index} now`);
      expect((await raw.read(5)).toString('hex')).toBe('81036e6f77');
      await raw.close();
    }
  });

  it('a worker that does not read for a while holds up neither the master nor the others, and is told what it missed', async () => {
    const farm = await startFarm(['--max-worker-link-bytes=1000000', '--max-outbound-bytes=64000000']);
    const clients = await connectMany(farm, '/news?channel=news', 4);
    const [stopped] = farm.workers;
    const answered = new Set<TestClient>();
    process.kill(stopped!.pid, 'SIGSTOP');
    for (const client of clients) {
      client.roundTrip().then(
        () => answered.add(client),
        () => undefined,
      );
    }
    await eventually(() => expect(answered.size).toBe(2));
    // Twice what the link to a worker holds.
    const payload = 'x'.repeat(60_000);
    for (let index = 0; index < 40; index++) {
      const [publisher] = answered;
      publisher!.send(`news ${payload}`);
      for (const client of answered) expect((await client.nextMessage()).text).toHaveLength(60_000);
    }
    process.kill(stopped!.pid, 'SIGCONT');
    await farm.log(({ msg, worker }) => msg === 'publications may have been missed' && worker === 0);
    await call(farm, 'publish', { channel: 'news', data: 'now' });
    for (const client of clients) {
      let { text } = await client.nextMessage();
      while (text === payload) ({ text } = await client.nextMessage());
      expect(text).toBe('now');
    }
    expect((await info(farm)).workers.map(({ restarts }) => restarts)).toEqual([0, 0]);
  });
});
