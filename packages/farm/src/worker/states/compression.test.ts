import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { type Frame, makeCertificate, TestClient, type RawClient } from '@roost/testing';
import { accept, type App } from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import {
  clientFrame,
  type HarnessOptions,
  poll,
  upgradeHead,
  WorkerHarness,
} from '../fixtures/worker-harness.ts';

const OFFER = 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits';
/** `Hello` as RFC 7692 §7.2.3.1 compresses it. */
const HELLO = 'f248cdc9c90700';

const opened: Connection[] = [];
const received: string[] = [];
const ECHO: App = {
  upgrade: ({ path }) => accept({ channels: path === '/' ? [] : [path.slice(1)] }),
  open: (connection) => void opened.push(connection),
  message: (connection, data, isBinary) => {
    received.push(`${isBinary ? 'binary' : 'text'} ${data.toString('latin1')}`);
    connection.send(data, isBinary);
  },
};

let harness: WorkerHarness;
afterEach(async () => {
  await harness.stop();
  opened.length = 0;
  received.length = 0;
});

async function start(options: HarnessOptions = {}): Promise<void> {
  harness = await WorkerHarness.start(ECHO, { compression: true, ...options });
}

/** A client that has agreed on compression, and has its 101. */
async function openDeflated(path = '/'): Promise<RawClient> {
  const client = await harness.connect();
  client.writeText(upgradeHead(path, [OFFER]));
  expect(await client.readHead()).toContain('\r\nSec-WebSocket-Extensions: permessage-deflate; ');
  return client;
}

function deflated(payload: string | Uint8Array): Buffer {
  return deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

/** The message of a frame, inflated if it is compressed. */
function messageOf({ first, payload }: Frame): Buffer {
  if ((first & 0x40) === 0) return payload;
  const whole = Buffer.concat([payload, Buffer.from('0000ffff', 'hex')]);
  return inflateRawSync(whole, { finishFlush: constants.Z_SYNC_FLUSH, windowBits: 12 });
}

/** Bytes that shrink by half. */
function digits(bytes: number, seed: number): Buffer {
  let state = seed * 7919 + 1;
  return Buffer.from(
    Array.from({ length: bytes }, () => 0x30 + ((state = (state * 48_271) % 2_147_483_647) % 10)),
  );
}

describe('compression', () => {
  it('is agreed on without context takeover in either direction, only when it is on', async () => {
    await start();
    const client = await harness.connect();
    client.writeText(upgradeHead('/', [OFFER]));
    expect((await client.readHead()).split('\r\n').slice(3)).toEqual([
      'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
      'Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover',
      '',
      '',
    ]);
    await harness.counts('upgrades_compressed', 1);
    await harness.stop();
    harness = await WorkerHarness.start(ECHO);
    const other = await harness.connect();
    other.writeText(upgradeHead('/', [OFFER]));
    expect(await other.readHead()).not.toContain('Extensions');
    other.write(clientFrame(0xc1, Buffer.from(HELLO, 'hex')));
    expect((await other.read(4)).toString('hex')).toBe('880203ea');
    expect(await harness.count('upgrades_compressed')).toBe(0);
  });

  it('leaves the closing handshake alone when the client had compressed messages under way', async () => {
    await start();
    const client = await openDeflated();
    await poll(() => opened.length).toBe(1);
    opened[0]?.close(4000, 'bye');
    expect((await client.read(7)).toString('hex')).toBe('88050fa0627965');
    client.write(clientFrame(0xc1, Buffer.from(HELLO, 'hex')));
    await harness.open();
    client.write(clientFrame(0x88, Buffer.from('0fa0', 'hex')));
    expect(await client.closed).toEqual({ errorCode: undefined });
    await harness.counts('closed', 1);
    expect(await harness.count('closed_abnormally')).toBe(0);
  });

  it.each([
    'permessage-deflate; server_max_window_bits=8',
    'permessage-deflate; window=9',
    'a; b="c::d"',
    '',
  ])('is declined to who offers %j, and the connection goes on without it', async (offer) => {
    await start({ minCompressBytes: 0 });
    const client = await harness.connect();
    client.writeText(upgradeHead('/', [`Sec-WebSocket-Extensions: ${offer}`]));
    const head = await client.readHead();
    expect(head).toMatch(/^HTTP\/1\.1 101 /);
    expect(head).not.toContain('Extensions');
    client.write(clientFrame(0x81, 'a'.repeat(100)));
    expect(await client.readFrame()).toMatchObject({ first: 0x81, payload: Buffer.from('a'.repeat(100)) });
    expect(await harness.count('upgrades_compressed')).toBe(0);
  });

  it('gives the app all of a message, also what follows a final block', async () => {
    await start();
    const client = await openDeflated();
    // Hello with a final block (RFC 7692 §7.2.3.4), and that of §7.2.3.1 behind it: whole, and in fragments.
    client.write('c1 8e 00000000 f348cdc9c90700 f248cdc9c90700');
    expect((await client.read(12)).toString('hex')).toBe('810a48656c6c6f48656c6c6f');
    client.write('41 87 00000000 f348cdc9c90700  80 87 00000000 f248cdc9c90700');
    expect((await client.read(12)).toString('hex')).toBe('810a48656c6c6f48656c6c6f');
    expect(received).toEqual(['text HelloHello', 'text HelloHello']);
  });

  it.each([
    ['ends within a block', 'c1 84 00000000 f248cdc9'],
    ['ends within a block, in fragments', '41 82 00000000 f248  80 82 00000000 cdc9'],
    ['ends within the block behind a final one', 'c1 8b 00000000 f348cdc9c90700 f248cdc9'],
    ['has no block behind a final one', 'c1 89 00000000 f348cdc9c90700 ffff'],
  ])('gives the app nothing of a message that %s, and closes 1007', async (_how, frames) => {
    await start();
    const client = await openDeflated();
    client.write(frames);
    expect((await client.read(4)).toString('hex')).toBe('880203ef');
    await client.closed;
    expect(received).toEqual([]);
    expect(await harness.count('inflate_failures')).toBe(1);
  });

  it('is agreed on after an asynchronous upgrade, too', async () => {
    harness = await WorkerHarness.start(
      { ...ECHO, upgrade: () => Promise.resolve(accept()) },
      { compression: true },
    );
    const client = await openDeflated();
    client.write(clientFrame(0xc1, Buffer.from(HELLO, 'hex')));
    expect((await client.read(7)).toString('hex')).toBe('810548656c6c6f');
  });

  it('costs no wake: compressed messages are read and sent while the connection sleeps', async () => {
    await start({ minCompressBytes: 5, compressionLevel: 9 });
    const client = await openDeflated();
    // The masked Hello of RFC 7692 §7.2.3.1, in two pieces, and another behind it.
    client.write('c1 87 37fa213d c5b2ecf4');
    client.write('fefd21  c2 87 00000000 f248cdc9c90700');
    expect((await client.read(14)).toString('hex')).toBe('810548656c6c6f820548656c6c6f');
    expect(received).toEqual(['text Hello', 'binary Hello']);
    client.write(clientFrame(0xc1, deflated('Hello'.repeat(20))));
    const answer = await client.readFrame();
    expect([answer.first, answer.payload.subarray(0, 5).toString('hex')]).toEqual([0xc1, 'f248cdc9c9']);
    expect(messageOf(answer).toString()).toBe('Hello'.repeat(20));
    const { counters } = await harness.report();
    expect(counters).toMatchObject({
      wakes: 0,
      messages_received: 3,
      messages_inflated: 3,
      messages_sent: 3,
      messages_compressed: 1,
    });
  });

  it('leaves messages outside minCompressBytes and maxCompressBytes as they are, and those that would not shrink', async () => {
    await start();
    const client = await openDeflated();
    const noise = Buffer.from(Array.from({ length: 2000 }, (_, index) => (index * index * 7919) >> 3));
    for (const [message, first] of [
      ['a'.repeat(1023), 0x81],
      ['a'.repeat(1024), 0xc1],
      // 1,022 UTF-16 units, 1,024 bytes.
      [`€${'a'.repeat(1021)}`, 0xc1],
      ['', 0x81],
      ['é'.repeat(32_768), 0xc1],
      ['é'.repeat(32_769), 0x81],
      ['a'.repeat(65_537), 0x81],
      [Buffer.alloc(1023), 0x82],
      [Buffer.alloc(65_536), 0xc2],
      [Buffer.alloc(65_537), 0x82],
      [deflateRawSync(noise), 0x82],
    ] as const) {
      expect(opened[0]?.send(message)).toBe(true);
      const frame = await client.readFrame();
      expect(frame.first).toBe(first);
      expect(messageOf(frame).equals(Buffer.from(message))).toBe(true);
    }
  });

  it('never touches control frames', async () => {
    await start({ minCompressBytes: 0 });
    const client = await openDeflated();
    client.write(clientFrame(0x89, 'a'.repeat(125)));
    expect(await client.readFrame()).toMatchObject({ first: 0x8a, payload: Buffer.from('a'.repeat(125)) });
    opened[0]?.close(1000, 'a'.repeat(100));
    expect((await client.readFrame()).first).toBe(0x88);
  });

  it.each([
    ['a bomb', clientFrame(0xc2, deflated(Buffer.alloc(20_000_000))), 1009, 'inflate_bombs'],
    ['a bomb in fragments', fragmented(deflated(Buffer.alloc(20_000_000))), 1009, 'inflate_bombs'],
    ['corrupt data', clientFrame(0xc2, Buffer.from('ff', 'hex')), 1007, 'inflate_failures'],
    ['corrupt fragments', fragmented(Buffer.from('ffff', 'hex')), 1007, 'inflate_failures'],
    ['text that is not UTF-8', clientFrame(0xc1, deflated(Buffer.from('ff', 'hex'))), 1007, undefined],
    ['a compressed continuation', Buffer.from('418000000000c08000000000', 'hex'), 1002, undefined],
    ['a compressed ping', Buffer.from('c98000000000', 'hex'), 1002, undefined],
    ['a compressed close frame', Buffer.from('c88000000000', 'hex'), 1002, undefined],
    ['RSV2', Buffer.from('e18000000000', 'hex'), 1002, undefined],
  ] as const)('is how ws closes %s', async (_name, bytes, code, counter) => {
    await start();
    const client = await openDeflated();
    const witness = await openDeflated();
    client.write(clientFrame(0xc1, Buffer.from(HELLO, 'hex')));
    client.write(bytes);
    expect((await client.read(11)).toString('hex')).toBe(
      `810548656c6c6f8802${code.toString(16).padStart(4, '0')}`,
    );
    if (counter !== undefined) await harness.counts(counter, 1);
    // Nobody else is affected.
    witness.write(clientFrame(0xc1, Buffer.from(HELLO, 'hex')));
    expect((await witness.read(7)).toString('hex')).toBe('810548656c6c6f');
    expect(received).toEqual(['text Hello', 'text Hello']);
  });

  it('takes messages of maxMessageBytes, and none of a byte more', async () => {
    await start({ maxMessageBytes: 100_000 });
    const client = await openDeflated();
    client.write(clientFrame(0xc2, deflated(Buffer.alloc(100_000))));
    expect(messageOf(await client.readFrame())).toHaveLength(100_000);
    client.write(clientFrame(0xc2, deflated(Buffer.alloc(100_001))));
    expect((await client.read(4)).toString('hex')).toBe('880203f1');
  });

  it('keeps the order of what is read awake and asleep, and the connection goes back to sleep', async () => {
    await start({ quietMs: 10, minCompressBytes: 100 });
    const client = await openDeflated();
    const expected: string[] = [];
    for (let round = 0; round < 3; round++) {
      const texts = ['whole', 'fragmented', 'plain', 'last'].map((word) => `${word} ${round} `.repeat(20));
      const [whole = '', inFragments = '', plain = '', last = ''] = texts;
      client.write(
        Buffer.concat([
          clientFrame(0xc1, deflated(whole)),
          fragmented(deflated(inFragments), 0x41),
          clientFrame(0x81, plain),
          clientFrame(0xc1, deflated(last)),
        ]),
      );
      for (const text of texts) {
        const frame = await client.readFrame();
        expect([frame.first, messageOf(frame).toString()]).toEqual([0xc1, text]);
        expected.push(`text ${text}`);
      }
      await harness.counts('hibernations', round + 1);
    }
    expect(received).toEqual(expected);
    expect(await harness.count('wakes')).toBe(3);
  });
});

describe('compressed messages', () => {
  it('count against messageRate, whole and in fragments', async () => {
    await start({ messageRate: 2, messageBurst: 2 });
    const client = await openDeflated();
    client.write(clientFrame(0xc1, Buffer.from(HELLO, 'hex')));
    client.write(fragmented(Buffer.from(HELLO, 'hex'), 0x41));
    client.write(clientFrame(0xc1, Buffer.from(HELLO, 'hex')));
    expect((await client.read(14)).toString('hex')).toBe('810548656c6c6f'.repeat(2));
    const { first, payload } = await client.readFrame();
    expect([first, payload.readUInt16BE(0)]).toEqual([0x88, 4002]);
  });

  it('that are half sent count against maxInboundBytesPerWorker as they came', async () => {
    await start({ maxInboundBytesPerWorker: 131_072, maxMessageBytes: 60_000 });
    const bytes = clientFrame(0x42, deflated(deflateRawSync(digits(130_000, 1))).subarray(0, 50_000));
    for (const client of [await openDeflated(), await openDeflated()]) client.write(bytes);
    await harness.counts('wakes', 2);
    const third = await openDeflated();
    third.write(bytes);
    const { first, payload } = await third.readFrame();
    expect([first, payload.readUInt16BE(0)]).toEqual([0x88, 1013]);
    expect(await harness.count('refused_inbound_bytes')).toBe(1);
  });

  it('go through TLS as well, to single connections and to all', async () => {
    const certificate = makeCertificate();
    await start({ tls: certificate, minCompressBytes: 10 });
    const options = { ca: certificate.cert, perMessageDeflate: { threshold: 0 } };
    const url = `wss://localhost:${harness.port}/news`;
    const client = await TestClient.connect(url, options);
    const plain = await TestClient.connect(url, { ...options, perMessageDeflate: false });
    client.socket.send('Hello '.repeat(1000));
    expect((await client.nextMessage()).text).toBe('Hello '.repeat(1000));
    harness.publish('news', 'all the news '.repeat(100));
    for (const each of [client, plain]) {
      expect((await each.nextMessage()).text).toBe('all the news '.repeat(100));
    }
    const { counters } = await harness.report();
    expect(counters).toMatchObject({
      upgrades_compressed: 1,
      messages_inflated: 1,
      messages_compressed: 1,
      publications_compressed: 1,
    });
  });
});

describe('a compressed publication', () => {
  it('is compressed once, for those who agreed on it, in the same walk as for the others', async () => {
    await start();
    const compressed = [await openDeflated('/news'), await openDeflated('/news')];
    const plain = [await harness.open('/news'), await harness.open('/news')];
    await poll(() => opened.length).toBe(4);
    const text = 'all the news '.repeat(100);
    harness.publish('news', text);
    const frames = await Promise.all([...compressed, ...plain].map((client) => client.readFrame()));
    expect(frames.map(({ first }) => first)).toEqual([0xc1, 0xc1, 0x81, 0x81]);
    expect(frames.map((frame) => messageOf(frame).toString())).toEqual([text, text, text, text]);
    expect(frames[1]).toEqual(frames[0]);
    expect(frames[0]?.payload.length).toBeLessThan(100);
    const { counters } = await harness.report();
    expect(counters).toMatchObject({ publications_compressed: 1, deliveries: 4, messages_compressed: 0 });
  });

  it('is not made for nobody, nor of what is small, or large, or would not shrink', async () => {
    await start();
    const compressed = await openDeflated('/small');
    const plain = await harness.open('/plain');
    await poll(() => opened.length).toBe(2);
    harness.publish('small', 'a'.repeat(1023));
    expect((await compressed.readFrame()).first).toBe(0x81);
    const noise = deflateRawSync(
      Buffer.from(Array.from({ length: 3000 }, (_, index) => (index * index * 7919) >> 3)),
    );
    harness.publish('small', noise);
    expect(await compressed.readFrame()).toMatchObject({ first: 0x82, payload: noise });
    harness.publish('small', 'a'.repeat(65_537));
    expect((await compressed.readFrame()).first).toBe(0x81);
    harness.publish('plain', 'a'.repeat(1024));
    expect((await plain.readFrame()).first).toBe(0x81);
    expect(await harness.count('publications_compressed')).toBe(0);
  });

  it('waits in the right form for those who read slowly, and is sent in slices', async () => {
    const COUNT = 200;
    await start({
      capacity: 128,
      maxOutboundBytes: 64 * 1024 * 1024,
      beyondLimits: { broadcastSliceMs: 0.001 },
    });
    const clients: RawClient[] = [];
    for (let index = 0; index < 80; index++) {
      clients.push(index % 2 === 0 ? await openDeflated('/news') : await harness.open('/news'));
    }
    await poll(() => opened.length).toBe(80);
    const slow = clients.slice(0, 4);
    for (const client of slow) client.pause();
    const publications = Array.from({ length: COUNT }, (_, index) => digits(8000, index));
    for (const publication of publications) harness.publish('news', publication);
    await harness.counts('deliveries', COUNT * clients.length);
    const { connections } = await harness.report();
    expect(connections).toBe(80);
    for (const client of slow) client.resume();
    for (const [index, client] of clients.entries()) {
      if (index >= 8) continue;
      for (const publication of publications) {
        const frame = await client.readFrame();
        expect(frame.first).toBe(index % 2 === 0 ? 0xc1 : 0x81);
        expect(messageOf(frame).equals(publication)).toBe(true);
      }
    }
    expect(await harness.count('publications_compressed')).toBe(COUNT);
  });
});

describe('a real client with compression', () => {
  it('of ws talks to a farm that has it', async () => {
    await start({ minCompressBytes: 64 });
    const client = await TestClient.connect(`${harness.url}/news`, { perMessageDeflate: { threshold: 0 } });
    expect(client.socket.extensions).toBe('permessage-deflate');
    for (const length of [0, 1, 63, 64, 1000, 65_536]) {
      const text = digits(length, 3).toString();
      client.socket.send(text);
      expect((await client.nextMessage()).text === text).toBe(true);
    }
    harness.publish('news', 'all the news '.repeat(100));
    expect((await client.nextMessage()).text).toBe('all the news '.repeat(100));
    client.socket.send('a'.repeat(65_537));
    expect((await client.closed).code).toBe(1009);
    const { counters } = await harness.report();
    expect(counters).toMatchObject({ messages_inflated: 6, publications_compressed: 1 });
  });
});

function fragmented(payload: Uint8Array, first = 0x42): Buffer {
  const half = Math.ceil(payload.length / 2);
  return Buffer.concat([
    clientFrame(first, payload.subarray(0, half)),
    clientFrame(0x80, payload.subarray(half)),
  ]);
}
