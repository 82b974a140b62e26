import { deflateRawSync, constants as zlib } from 'node:zlib';
import { clientFrame, eventually, makeCertificate, patient, type RawClient } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import {
  poll,
  textFrame,
  upgradeHead,
  WorkerHarness,
  type HarnessOptions,
} from '../fixtures/worker-harness.ts';
import { constantsOf, replyTo } from './constants.ts';

const PING = '{"event":"pusher:ping","data":{}}';
const PONG = '{"event":"pusher:pong","data":{}}';
/** The server's frame of PONG. */
const PONG_FRAME = `8121${Buffer.from(PONG).toString('hex')}`;
const certificate = makeCertificate();

let harness: WorkerHarness;
const received: string[] = [];
const opened: Connection[] = [];
const closes: number[] = [];
afterEach(async () => {
  await harness?.stop();
  received.length = 0;
  opened.length = 0;
  closes.length = 0;
});

const APP: App = {
  replies: [{ message: PING, reply: PONG }, { message: '{}' }],
  upgrade: ({ path }) => (path === '/plain' ? undefined : accept({ channels: ['news'] })),
  open: (connection) => void opened.push(connection),
  message: (_connection, data) => void received.push(String(data)),
  close: (_connection, code) => void closes.push(code),
};
const PLAIN: App = {
  upgrade: () => accept(),
  open: (connection) => void opened.push(connection),
  message: (connection, data, isBinary) => void connection.send(data, isBinary),
  close: (_connection, code) => void closes.push(code),
};

async function start(app: App = APP, options: HarnessOptions = {}): Promise<void> {
  harness = await WorkerHarness.start([app, PLAIN], options);
}

describe('a message that is answered by a constant', () => {
  it.each([
    ['TCP', {}],
    ['TLS', { tls: certificate }],
  ])('is told apart from all others, and never given to the app, over %s', async (_what, options) => {
    await start(APP, options);
    const client = await harness.open();
    const others = [`${PING} `, PING.slice(1), PING.toUpperCase(), '{', '{}{}', ''];
    for (const text of [PING, '{}', ...others, PING]) client.write(textFrame(text));
    expect((await client.read(70)).toString('hex')).toBe(PONG_FRAME + PONG_FRAME);
    expect(received).toEqual(others);
    const { counters } = await harness.report();
    expect(counters).toMatchObject({ messages_received: 9, messages_sent: 2, wakes: 0 });
  });

  it('is text: bytes of the same kind are the app’s', async () => {
    await start();
    const client = await harness.open();
    client.write(clientFrame(0x82, PING));
    await poll(() => received).toEqual([PING]);
    expect(client.unread).toHaveLength(0);
  });

  it('is answered when it comes byte by byte, compressed, or in fragments while the connection is awake', async () => {
    await start(APP, { compression: true });
    const client = await harness.connect();
    client.writeText(upgradeHead('/', ['Sec-WebSocket-Extensions: permessage-deflate']));
    expect(await client.readHead()).toContain('permessage-deflate');
    for (const byte of textFrame(PING)) client.write(Buffer.from([byte]));
    expect((await client.read(35)).toString('hex')).toBe(PONG_FRAME);
    const deflated = deflateRawSync(PING, { finishFlush: zlib.Z_SYNC_FLUSH }).subarray(0, -4);
    client.write(clientFrame(0xc1, deflated));
    // A constant is not compressed.
    expect((await client.read(35)).toString('hex')).toBe(PONG_FRAME);
    client.write(clientFrame(0x01, PING.slice(0, 9)));
    await harness.counts('wakes', 1);
    client.write(clientFrame(0x80, PING.slice(9)));
    expect((await client.read(35)).toString('hex')).toBe(PONG_FRAME);
    expect(received).toEqual([]);
  });

  it('is not of other apps', async () => {
    await start();
    const client = await harness.open('/plain');
    client.write(textFrame(PING));
    expect(String(await client.read(35)).slice(2)).toBe(PING);
  });

  it('counts against messageRate', async () => {
    await start(APP, { messageRate: 1, messageBurst: 3 });
    const client = await harness.open();
    for (let count = 0; count < 4; count++) client.write(textFrame(PING));
    await client.read(3 * 35);
    expect((await client.readFrame()).payload.readUInt16BE(0)).toBe(4002);
  });

  it('waits behind what the client has not read', async () => {
    await start(
      { ...APP, message: (connection) => void connection.send(Buffer.alloc(8 << 20)) },
      { maxOutboundBytes: 16 << 20 },
    );
    const client = await harness.open();
    client.pause();
    client.write(textFrame('send me much'));
    await poll(() => opened[0]?.bufferedBytes ?? 0).toBeGreaterThan(0);
    client.write(textFrame(PING));
    client.resume();
    await client.read(10 + (8 << 20));
    expect((await client.read(35)).toString('hex')).toBe(PONG_FRAME);
  });
});

describe('the replies of an app', () => {
  it('are found by every byte, without a look at what stands around them', () => {
    const { replies = [] } = constantsOf({ replies: [{ message: 'ping' }, { message: 'né', reply: 'oui' }] });
    const bytes = Buffer.from('xpingnéx');
    expect(replyTo(replies, bytes, 1, 5)).toBe(replies[0]);
    expect(replyTo(replies, bytes, 5, 8)).toBe(replies[1]);
    expect(replyTo(replies, bytes, 0, 4)).toBeUndefined();
    expect(replyTo(replies, bytes, 1, 4)).toBeUndefined();
    expect(replies[0]?.frame).toBeUndefined();
    expect(replies[1]?.frame?.toString('hex')).toBe('81036f7569');
  });

  it.each<[string, Partial<App>]>([
    ['an app has at most 4 replies, got 5', { replies: Array.from({ length: 5 }, () => ({ message: 'x' })) }],
    ['the message of a reply must have 1 to 125 bytes of UTF-8, got 0', { replies: [{ message: '' }] }],
    [
      'the message of a reply must have 1 to 125 bytes of UTF-8, got 126',
      { replies: [{ message: 'é'.repeat(63) }] },
    ],
    [
      'a reply must have 1 to 125 bytes of UTF-8, got 126',
      { replies: [{ message: 'x', reply: 'x'.repeat(126) }] },
    ],
    ['the message of a reply must be a string, got number', JSON.parse('{"replies":[{"message":7}]}')],
    ['a heartbeat must have 1 to 125 bytes of UTF-8, got 0', { heartbeat: '' }],
    [
      'closeCodes[4000] must be 1000 to 1003, 1007 to 1014 or 3000 to 4999, got 1006',
      { closeCodes: { 4000: { code: 1006 } } },
    ],
    [
      'closeCodes[4000] must have a reason of at most 123 bytes',
      { closeCodes: { 4000: { code: 4100, reason: 'x'.repeat(124) } } },
    ],
    ['closeCodes are by code, got "slow"', JSON.parse('{"closeCodes":{"slow":{"code":4100}}}')],
  ])('must be well-formed, as all constants: %s', async (message, app) => {
    await expect(WorkerHarness.start({ ...APP, ...app })).rejects.toThrow(message);
  });
});

describe('the heartbeat of an app', () => {
  const BEAT_MS = patient(1000);
  const OPTIONS = { heartbeatMs: BEAT_MS, heartbeatTimeoutMs: BEAT_MS };

  it.each([
    ['TCP', {}],
    ['TLS', { tls: certificate }],
  ])('is sent in place of a ping, and its close code before the end, over %s', async (_what, options) => {
    await start(
      { ...APP, heartbeat: '{}', closeCodes: { 1006: { code: 4201, reason: 'no pong' } } },
      { ...OPTIONS, ...options },
    );
    const [silent, answering, plain] = await Promise.all([
      harness.open(),
      harness.open(),
      harness.open('/plain'),
    ]);
    expect((await silent.read(4)).toString('hex')).toBe('81027b7d');
    expect((await answering.read(4)).toString('hex')).toBe('81027b7d');
    expect((await plain.read(2)).toString('hex')).toBe('8900');
    answering.write(textFrame('{}'));
    await Promise.all([silent.closed, plain.closed]);
    expect(silent.unread.toString('hex')).toBe(`88091069${Buffer.from('no pong').toString('hex')}`);
    expect(plain.unread).toHaveLength(0);
    expect(closes).toEqual([1006, 1006]);
    expect(await harness.count('closed_heartbeat')).toBe(2);
    expect(answering.isClosed).toBe(false);
    expect(received).toEqual([]);
  });
});

/** Code and reason of the next frame, a close frame. */
async function closeOf(client: RawClient): Promise<string> {
  const { first, payload } = await client.readFrame();
  expect(first).toBe(0x88);
  return `${payload.readUInt16BE(0)} ${payload.toString('utf8', 2)}`.trim();
}

describe('a close of the worker’s own', () => {
  const CLOSE_CODES = {
    1001: { code: 4200, reason: 'elsewhere' },
    1011: { code: 4100 },
    4000: { code: 4100 },
    4001: { code: 4100 },
    4002: { code: 4100, reason: 'too many' },
    4003: { code: 4009 },
    4500: { code: 4009, reason: 'go' },
  };
  const WITH_CODES: App = { ...APP, closeCodes: CLOSE_CODES };

  it.each<[string, Partial<App>, HarnessOptions, (client: RawClient) => void, string]>([
    [
      'an exceeded rate',
      {},
      { messageRate: 1, messageBurst: 1 },
      (client) => client.write(Buffer.concat([textFrame('a'), textFrame('b')])),
      '4100 too many',
    ],
    [
      'an exceeded rate while awake',
      {},
      { messageRate: 1, messageBurst: 1 },
      (client) =>
        client.write(Buffer.concat([clientFrame(0x01, 'a'), clientFrame(0x80, 'b'), textFrame('c')])),
      '4100 too many',
    ],
    [
      'a late message',
      {},
      { messageTimeoutMs: 1000 },
      (client) => client.write(textFrame('abc').subarray(0, 7)),
      '4100 the message did not arrive in time',
    ],
    [
      'a late message while awake',
      {},
      { messageTimeoutMs: 1000 },
      (client) => client.write(clientFrame(0x01, 'a')),
      '4100 the message did not arrive in time',
    ],
    ['a disconnect', {}, {}, () => harness.control({ type: 'disconnect', channel: 'news' }), '4009 go'],
    [
      'a disconnect with a code of its own',
      {},
      {},
      () => harness.control({ type: 'disconnect', channel: 'news', code: 4600, reason: 'mine' }),
      '4600 mine',
    ],
    [
      'a hook that fails',
      {
        message: () => {
          throw new Error('no');
        },
      },
      {},
      (client) => client.write(textFrame('a')),
      '4100 the application failed',
    ],
    ['a drain', {}, {}, () => harness.send({ type: 'drain', drainMs: 0, workers: 1 }), '4200 elsewhere'],
    [
      'the app, with the farm’s code',
      { message: (connection) => void connection.close(4000, 'mine') },
      {},
      (client) => client.write(textFrame('a')),
      '4000 mine',
    ],
    [
      'an expired token',
      { upgrade: () => accept({ expiresAt: Date.now() / 1000 + 0.1 }) },
      {},
      () => undefined,
      '4009 the token has expired',
    ],
  ])('has the code of the app: %s', async (_what, app, options, act, expected) => {
    await start({ ...WITH_CODES, ...app }, options);
    const client = await harness.open();
    await poll(() => opened.length).toBe(1);
    act(client);
    expect(await closeOf(client)).toBe(expected);
  });

  it('has the code of the app: a slow consumer', async () => {
    await start(WITH_CODES, { maxOutboundBytes: 64 * 1024 });
    const client = await harness.open();
    client.pause();
    await poll(() => opened.length).toBe(1);
    const connection = opened.at(0)!;
    while (connection.send(Buffer.alloc(16 * 1024))) await new Promise((resolve) => setImmediate(resolve));
    client.resume();
    let frame = await client.readFrame();
    while (frame.first !== 0x88) frame = await client.readFrame();
    expect(frame.payload.readUInt16BE(0)).toBe(4100);
    await eventually(async () => (await harness.count('closed_slow_consumer')) === 1);
  });

  it('has the farm’s code for the connections of other apps', async () => {
    await start(WITH_CODES);
    const clients = [await harness.open(), await harness.open('/plain')];
    await poll(() => opened.length).toBe(2);
    harness.send({ type: 'drain', drainMs: 0, workers: 1 });
    expect(await Promise.all(clients.map(closeOf))).toEqual([
      '4200 elsewhere',
      '1001 the server is shutting down',
    ]);
  });
});
