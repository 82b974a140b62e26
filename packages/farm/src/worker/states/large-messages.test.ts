import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import {
  clientFrame,
  type HarnessOptions,
  poll,
  textFrame,
  WorkerHarness,
} from '../fixtures/worker-harness.ts';

const MIB = 1024 * 1024;

const received: string[] = [];
/** Says of each message how long it was, and its hash. */
const APP: App = {
  upgrade: () => accept(),
  message(connection, data) {
    received.push(describeMessage(data));
    connection.send('got it');
  },
};

let harness: WorkerHarness;
afterEach(async () => {
  await harness.stop();
  received.length = 0;
});

async function start(options: HarnessOptions = {}): Promise<void> {
  harness = await WorkerHarness.start(APP, options);
}

function describeMessage(data: Buffer): string {
  return `${data.length} ${createHash('sha1').update(data).digest('hex')}`;
}

/** Valid UTF-8 that is the same nowhere. */
function patternOf(length: number): Buffer {
  const pattern = Buffer.allocUnsafe(length);
  for (let index = 0; index < length; index++) pattern[index] = 32 + ((index ^ (index >> 7)) % 90);
  return pattern;
}

/** `count` fragments of about the same length. */
function inFragments(payload: Buffer, count: number): Buffer[] {
  const step = Math.ceil(payload.length / count);
  return Array.from({ length: count }, (_, index) =>
    clientFrame(
      (index === 0 ? 0x01 : 0x00) | (index === count - 1 ? 0x80 : 0),
      payload.subarray(index * step, (index + 1) * step),
    ),
  );
}

function inPieces(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

describe('a message of 16 MiB', () => {
  const payload = patternOf(16 * MIB);
  const whole = clientFrame(0x81, payload);

  it.each([
    ['in one frame', [whole]],
    ['in one frame that dribbles in by 4 KB', inPieces(whole, 4096)],
    ['in 16 fragments', inFragments(payload, 16)],
    ['in 100,000 fragments', inFragments(payload, 100_000)],
    [
      'in fragments that dribble in, with pings between them',
      inFragments(payload, 5).flatMap((fragment) => [...inPieces(fragment, 5000), clientFrame(0x89, 'p')]),
    ],
  ])('arrives %s', async (how, pieces) => {
    await start({ maxMessageBytes: 16 * MIB, maxInboundBytesPerWorker: 64 * MIB });
    const client = await harness.open();
    for (const piece of pieces.slice(0, -1)) client.write(piece);
    client.write(Buffer.concat([pieces.at(-1) ?? Buffer.alloc(0), textFrame('behind it')]));
    await poll(() => received).toEqual([describeMessage(payload), describeMessage(Buffer.from('behind it'))]);
    const pongs = how.includes('pings') ? 5 * 3 : 0;
    await client.read(pongs + 2 * 8);
    await client.close();
  });

  it('and a byte is closed with 1009, whole and in fragments, before it has arrived', async () => {
    await start({ maxMessageBytes: 16 * MIB, maxInboundBytesPerWorker: 64 * MIB });
    const header = '82 ff 0000000001000001 00000000';
    const single = await harness.open();
    single.write(header);
    expect((await single.read(4)).toString('hex')).toBe('880203f1');
    const fragmented = await harness.open();
    fragmented.write(clientFrame(0x02, payload.subarray(1)));
    fragmented.write('80 82 00000000');
    expect((await fragmented.read(4)).toString('hex')).toBe('880203f1');
    await Promise.all([single.close(), fragmented.close()]);
    expect(received).toEqual([]);
  });
});

describe('one frame over more than a hundred reads', () => {
  it.each([
    ['asleep', ''],
    ['awake', '01 81 00000000 61'],
  ])('arrives %s, byte by byte', async (_state, before) => {
    await start();
    const client = await harness.open();
    const payload = patternOf(120);
    client.write(before);
    for (const byte of clientFrame(before === '' ? 0x81 : 0x80, payload)) {
      client.write(Uint8Array.of(byte));
      await harness.report();
    }
    const message = before === '' ? payload : Buffer.concat([Buffer.from('a'), payload]);
    await poll(() => received).toEqual([describeMessage(message)]);
    await client.close();
  });
});

describe('maxInboundBytesPerWorker', () => {
  const LIMIT = { maxMessageBytes: 60_000, beyondLimits: { maxInboundBytesPerWorker: 65_536 } };

  it('holds for fragments that wait, together with the beginnings of frames', async () => {
    await start(LIMIT);
    const fragmented = await harness.open();
    fragmented.write(clientFrame(0x01, Buffer.alloc(40_000, 'a')));
    await harness.counts('wakes', 1);
    const dribbling = await harness.open();
    dribbling.write(clientFrame(0x81, Buffer.alloc(20_000, 'b')).subarray(0, 19_000));
    await harness.report();
    expect(await harness.count('refused_inbound_bytes')).toBe(0);

    const tooMany = await harness.open();
    tooMany.write(clientFrame(0x01, Buffer.alloc(20_000, 'c')));
    expect((await tooMany.read(4)).readUInt16BE(2)).toBe(1013);
    expect(await harness.count('refused_inbound_bytes')).toBe(1);
    const another = await harness.open();
    another.write(clientFrame(0x81, Buffer.alloc(20_000, 'd')).subarray(0, 19_000));
    expect((await another.read(4)).readUInt16BE(2)).toBe(1013);
    expect(await harness.count('refused_inbound_bytes')).toBe(2);

    // The others are not touched, and what they held is free for others when they are done.
    fragmented.write(clientFrame(0x80, 'a'));
    await fragmented.read(8);
    const next = await harness.open();
    next.write(Buffer.concat([clientFrame(0x01, Buffer.alloc(40_000, 'e')), clientFrame(0x80, '')]));
    await next.read(8);
    dribbling.write(clientFrame(0x81, Buffer.alloc(20_000, 'b')).subarray(19_000));
    await dribbling.read(8);
    expect(received).toHaveLength(3);
    await Promise.all([fragmented, tooMany, another, next, dribbling].map((client) => client.close()));
  });

  it('counts what tiny fragments cost, not only their bytes', async () => {
    await start(LIMIT);
    const client = await harness.open();
    client.write(
      Buffer.concat([clientFrame(0x01, 'a'), ...Array.from({ length: 200 }, () => clientFrame(0, 'a'))]),
    );
    expect((await client.read(4)).readUInt16BE(2)).toBe(1013);
    client.write(clientFrame(0x88, Buffer.from([0x03, 0xf5])));
    await client.closed;
    expect(await harness.count('refused_inbound_bytes')).toBe(1);
  });

  it('is whole again after connections have ended within messages, however they ended', async () => {
    await start({ ...LIMIT, messageTimeoutMs: 300 });
    for (let round = 0; round < 3; round++) {
      for (const end of ['FIN', 'RST', 'close', 'error', 'timeout']) {
        const client = await harness.open();
        const wakes = await harness.count('wakes');
        client.write(clientFrame(0x01, Buffer.alloc(50_000, 'a')));
        await harness.counts('wakes', wakes + 1);
        if (end === 'FIN') client.end();
        else if (end === 'RST') client.reset();
        else if (end === 'close') client.write(clientFrame(0x88, ''));
        else if (end === 'error') client.write('ff');
        if (end === 'error') client.write('ff');
        if (end === 'error' || end === 'timeout') await client.read(4);
        await client.close();
      }
    }
    expect(await harness.count('refused_inbound_bytes')).toBe(0);
    await poll(() => harness.released).toBe(15);
  });
});

describe('many clients that each send a little of a message', () => {
  const CLIENTS = 500;
  const OPTIONS = { capacity: CLIENTS, messageTimeoutMs: 1500, quietMs: 60_000 };

  it.each([
    ['one byte of a text frame', Buffer.from([0x81]), 0],
    ['one byte of a fragment', Buffer.from([0x01]), 0],
    ['half a fragment', clientFrame(0x01, 'half').subarray(0, 8), 0],
    ['one fragment', clientFrame(0x01, 'one'), CLIENTS],
  ])('%s wake nobody unless ws must hold it, and all close with 4001', async (_what, bytes, wakes) => {
    await start(OPTIONS);
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => harness.open()));
    for (const client of clients) client.write(bytes);
    await harness.counts('wakes', wakes);
    for (const client of clients) expect((await client.read(4)).readUInt16BE(2)).toBe(4001);
    expect(await harness.count('closed_message_timeout')).toBe(CLIENTS);
    await Promise.all(clients.map((client) => client.close()));
  });

  it('may be as many as maxAwakeConnections: the others close with 1013', async () => {
    await start({ ...OPTIONS, messageTimeoutMs: 60_000, maxAwakeConnections: 100 });
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => harness.open()));
    for (const client of clients) client.write(clientFrame(0x01, 'one'));
    await harness.counts('wakes_refused', CLIENTS - 100);
    expect(await harness.count('wakes')).toBe(100);
    for (const client of clients) client.write(clientFrame(0x80, 'one'));
    await poll(() => received.length).toBe(100);
    await Promise.all(clients.map((client) => client.close()));
  });
});
