import { afterEach, describe, expect, it } from 'vitest';
import { readFrames, type RawClient } from '@roost/testing';
import { accept, type App } from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import {
  clientFrame,
  type HarnessOptions,
  poll,
  textFrame,
  WorkerHarness,
} from '../fixtures/worker-harness.ts';

/** Far more than any queue or kernel buffer here takes. */
const MAX_SENDS = 10_000;

const events: string[] = [];
const closes: unknown[] = [];
let connection: Connection | undefined;

const APP: App = {
  upgrade: () => accept({ channels: ['news'] }),
  open(newcomer) {
    connection = newcomer;
  },
  message: (from, data) => void from.send(data),
  writable: (from) => void events.push(`writable ${from.bufferedBytes}`),
  close: (_connection, code, reason) => void closes.push([code, reason]),
};

let harness: WorkerHarness;
afterEach(async () => {
  await harness.stop();
  events.length = closes.length = 0;
  connection = undefined;
});

async function start(options: HarnessOptions = {}): Promise<RawClient> {
  harness = await WorkerHarness.start(APP, options);
  return harness.open();
}

/** The connection that was opened last. */
function opened(): Connection {
  if (connection === undefined) throw new Error('no connection was opened');
  return connection;
}

/** A payload that shows where it was cut. */
function pattern(length: number, seed: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, index) => (index * 31 + seed) & 0xff));
}

/** Sends payloads until some wait in the outbound queue. Answers what was sent. */
function fillQueue(chunkBytes: number, queuedBytes: number): Buffer[] {
  const sent: Buffer[] = [];
  while (opened().bufferedBytes < queuedBytes) {
    const payload = pattern(chunkBytes, sent.length);
    if (!opened().send(payload)) throw new Error('the queue was full too early');
    sent.push(payload);
    if (sent.length > MAX_SENDS) throw new Error('no queue began');
  }
  return sent;
}

/** Sends payloads like those before until one is not taken. */
function overfill(chunkBytes: number, sent: Buffer[]): void {
  while (opened().send(pattern(chunkBytes, sent.length))) {
    sent.push(pattern(chunkBytes, sent.length));
    if (sent.length > MAX_SENDS) throw new Error('the queue has no bound');
  }
}

/** Everything after the 101: whole frames, none of them a fragment or compressed. */
function framesSent(client: RawClient): { opcode: number; payload: Buffer }[] {
  return readFrames(client.unread).map(({ first, opcode, payload }) => {
    expect(first & 0xf0).toBe(0x80);
    return { opcode, payload };
  });
}

describe('a message for a client that reads', () => {
  it.each([0, 1, 125, 126, 65_535, 65_536, 200_000])('of %i bytes leaves no queue', async (length) => {
    const client = await start();
    const payload = pattern(length, 1);
    expect(opened().send(payload)).toBe(true);
    const header = length < 126 ? 2 : length < 65_536 ? 4 : 10;
    await client.read(header);
    expect((await client.read(length)).equals(payload)).toBe(true);
    expect(opened().bufferedBytes).toBe(0);
    await client.close();
  });

  it('is text or binary as it was sent', async () => {
    const client = await start();
    opened().send('ä');
    opened().send(Buffer.from('ä'));
    opened().send(Buffer.from('ä'), false);
    expect((await client.read(12)).toString('hex')).toBe('8102c3a48202c3a48102c3a4');
    expect(() => opened().send(Buffer.from('c3', 'hex'), false)).toThrow(TypeError);
    await client.close();
  });
});

describe('a client that does not read', () => {
  it('gets everything exactly once and in order when it reads again, and the app is told', async () => {
    const client = await start({ maxOutboundBytes: 8 * 1024 * 1024 });
    client.pause();
    const sent = fillQueue(50_000, 3_000_000);
    opened().send('the last');
    harness.publish('news', 'a publication');
    await harness.counts('deliveries', 1);
    expect(events).toEqual([]);
    client.resume();
    await poll(() => events).toEqual(['writable 0']);
    const total = sent.length * 50_004 + 10 + 15;
    await poll(() => client.unread.length).toBe(total);
    const frames = framesSent(client);
    expect(frames.slice(0, -2).every(({ payload }, index) => sent[index]?.equals(payload))).toBe(true);
    expect(frames.slice(-2).map(({ payload }) => String(payload))).toEqual(['the last', 'a publication']);
    opened().send('at once');
    expect(opened().bufferedBytes).toBe(0);
    await poll(() => client.unread.length).toBe(total + 9);
    await client.close();
  });

  it('is heard meanwhile', async () => {
    const client = await start({ maxOutboundBytes: 8 * 1024 * 1024 });
    client.pause();
    const sent = fillQueue(50_000, 1_000_000);
    client.write(Buffer.concat([textFrame('echo'), clientFrame(0x89, 'ping')]));
    await harness.counts('messages_received', 1);
    client.resume();
    await poll(() => client.unread.length).toBe(sent.length * 50_004 + 6 + 6);
    expect(framesSent(client).slice(-2)).toEqual([
      { opcode: 2, payload: Buffer.from('echo') },
      { opcode: 10, payload: Buffer.from('ping') },
    ]);
    await client.close();
  });

  it('past maxOutboundBytes is closed with 4000 behind a whole frame, and what had not begun is dropped', async () => {
    const client = await start({ maxOutboundBytes: 500_000 });
    client.pause();
    const sent = fillQueue(50_000, 400_000);
    overfill(50_000, sent);
    expect(opened().isOpen).toBe(false);
    expect(await harness.count('closed_slow_consumer')).toBe(1);
    client.resume();
    await poll(() => client.unread.includes('slow consumer')).toBe(true);
    const frames = framesSent(client);
    const close = frames.at(-1);
    expect(close?.opcode).toBe(8);
    expect(close?.payload.readUInt16BE(0)).toBe(4000);
    const whole = frames.slice(0, -1);
    expect(whole.length).toBeLessThan(sent.length);
    expect(whole.every(({ payload }, index) => sent[index]?.equals(payload))).toBe(true);
    client.write(clientFrame(0x88, Buffer.from([0x0f, 0xa0])));
    await client.closed;
    await poll(() => closes).toEqual([[4000, '']]);
  });

  it('past maxOutboundBytes is closed by a publication as well', async () => {
    const client = await start({ maxOutboundBytes: 500_000 });
    client.pause();
    while (opened().isOpen) {
      harness.publish('news', pattern(100_000, 0));
      await harness.report();
    }
    expect(await harness.count('closed_slow_consumer')).toBe(1);
    client.resume();
    await poll(() => client.unread.includes('slow consumer')).toBe(true);
    expect(framesSent(client).at(-1)?.opcode).toBe(8);
    await client.close();
  });

  it('past maxOutboundBytes misses messages, with the policy drop, and stays', async () => {
    const client = await start({ maxOutboundBytes: 500_000, slowConsumerPolicy: 'drop' });
    client.pause();
    const sent = fillQueue(50_000, 400_000);
    overfill(50_000, sent);
    expect(opened().isOpen).toBe(true);
    expect(opened().send(pattern(50_000, 0))).toBe(false);
    expect(await harness.count('messages_dropped_slow_consumer')).toBe(2);
    client.resume();
    await poll(() => events).toEqual(['writable 0']);
    opened().send('after');
    await poll(() => client.unread.length).toBe(sent.length * 50_004 + 7);
    const frames = framesSent(client);
    expect(frames.slice(0, -1).every(({ payload }, index) => sent[index]?.equals(payload))).toBe(true);
    await client.close();
  });

  it.each([10_000, 100_000])(
    'is always owed the rest of a frame that has begun, of %i bytes, and no more',
    async (length) => {
      const client = await start({ maxOutboundBytes: 1024, slowConsumerPolicy: 'drop' });
      client.pause();
      const sent: Buffer[] = [];
      overfill(length, sent);
      expect(opened().bufferedBytes).toBeLessThanOrEqual(length + 10);
      client.resume();
      await poll(() => events).toEqual(['writable 0']);
      opened().send('after');
      await poll(() => client.unread.includes('after')).toBe(true);
      const frames = framesSent(client);
      expect(frames).toHaveLength(sent.length + 1);
      expect(sent.every((payload, index) => frames[index]?.payload.equals(payload))).toBe(true);
      await client.close();
    },
  );

  it('leaves nothing to the next owner of its row when it goes', async () => {
    const client = await start({ maxOutboundBytes: 8 * 1024 * 1024, capacity: 1, reservedConnections: 1 });
    client.pause();
    fillQueue(50_000, 1_000_000);
    const gone = opened();
    client.reset();
    await poll(() => closes).toEqual([[1006, '']]);
    expect(gone.bufferedBytes).toBe(0);
    expect(gone.send('late')).toBe(false);
    await poll(() => harness.released).toBe(1);
    const next = await harness.open();
    expect(opened().bufferedBytes).toBe(0);
    next.pause();
    const sent = fillQueue(50_000, 1_000_000);
    next.resume();
    await poll(() => next.unread.length).toBe(sent.length * 50_004);
    expect(framesSent(next).every(({ payload }, index) => sent[index]?.equals(payload))).toBe(true);
    await next.close();
  });

  it('gets what waited before the close frame of a close', async () => {
    const client = await start({ maxOutboundBytes: 8 * 1024 * 1024 });
    client.pause();
    const sent = fillQueue(50_000, 1_000_000);
    opened().close(4000);
    client.resume();
    await poll(() => client.unread.length).toBe(sent.length * 50_004 + 4);
    expect(framesSent(client).at(-1)).toEqual({ opcode: 8, payload: Buffer.from([0x0f, 0xa0]) });
    client.write(clientFrame(0x88, Buffer.from([0x0f, 0xa0])));
    await client.closed;
    await poll(() => closes).toEqual([[4000, '']]);
  });

  it('that answers the close before it has read it still gets what waits', async () => {
    const client = await start({ maxOutboundBytes: 8 * 1024 * 1024 });
    client.pause();
    const sent = fillQueue(50_000, 1_000_000);
    opened().close(4000);
    client.write(clientFrame(0x88, Buffer.from([0x0f, 0xa0])));
    await harness.report();
    client.resume();
    await client.closed;
    expect(client.unread).toHaveLength(sent.length * 50_004 + 4);
    await poll(() => closes).toHaveLength(1);
  });
});

describe('a queue of many small frames', () => {
  it('is sent in time that grows with their number, not with its square', async () => {
    const client = await start({ maxOutboundBytes: 4 * 1024 * 1024 });
    client.pause();
    fillQueue(50_000, 100_000);
    const before = opened().bufferedBytes;
    let count = 0;
    while (opened().bufferedBytes < 1_000_000) {
      opened().send('x');
      count++;
    }
    expect(opened().bufferedBytes - before).toBe(count * 3);
    const startedAt = process.cpuUsage();
    client.resume();
    await poll(() => events).toEqual(['writable 0']);
    // Its square would be minutes of the CPU; the time on the clock depends on who else wants it.
    const { user, system } = process.cpuUsage(startedAt);
    expect((user + system) / 1e6).toBeLessThan(10);
    await client.close();
  });
});
