import type { RawClient } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import type { SlowConsumerPolicy } from '../../options/options.ts';
import { poll, WorkerHarness } from '../fixtures/worker-harness.ts';

const MAX_BYTES = 2_000_000;
const MAX_PER_WORKER = 4_000_000;
/** Far more than any queue or kernel buffer here takes. */
const MAX_SENDS = 10_000;

const connections: Connection[] = [];
const closes: unknown[] = [];

const APP: App = {
  upgrade: ({ query }) => accept({ attachment: query.get('name'), channels: ['news'] }),
  open: (connection) => void connections.push(connection),
  close: ({ attachment }, code) => void closes.push([attachment, code]),
};

let harness: WorkerHarness;
afterEach(async () => {
  await harness.stop();
  connections.length = closes.length = 0;
});

function start(slowConsumerPolicy: SlowConsumerPolicy): Promise<void> {
  return WorkerHarness.start(APP, {
    slowConsumerPolicy,
    maxOutboundBytes: MAX_BYTES,
    maxOutboundBytesPerWorker: MAX_PER_WORKER,
  }).then((started) => void (harness = started));
}

/** A client that does not read, and its connection. */
async function stuck(name: string): Promise<{ client: RawClient; connection: Connection }> {
  const client = await harness.open(`/?name=${name}`);
  client.pause();
  const connection = connections.at(-1);
  if (connection === undefined) throw new Error('no connection was opened');
  return { client, connection };
}

/** Sends payloads until so many bytes wait. */
function fill(connection: Connection, queuedBytes: number, payloadBytes = 20_000): void {
  for (let count = 0; connection.bufferedBytes < queuedBytes; count++) {
    if (count > MAX_SENDS || !connection.send(Buffer.alloc(payloadBytes))) throw new Error('no queue');
  }
}

async function heldBytes(): Promise<number> {
  return (await harness.report()).outboundBytes;
}

describe('maxOutboundBytesPerWorker', () => {
  it('with close, closes the longest queues with 4000 and leaves who is late for a moment alone', async () => {
    await start('close');
    const hoarders = [await stuck('a'), await stuck('b')];
    const late = await stuck('late');
    for (const { connection } of hoarders) fill(connection, 1_900_000);
    expect(await heldBytes()).toBeGreaterThan(3_800_000);
    fill(late.connection, 300_000);
    expect(late.connection.isOpen).toBe(true);
    expect(hoarders.filter(({ connection }) => connection.isOpen)).toHaveLength(1);
    expect(await heldBytes()).toBeLessThan(MAX_PER_WORKER);
    expect(await harness.count('closed_outbound_bytes')).toBe(1);
    expect(await harness.count('closed_slow_consumer')).toBe(0);

    const closed = hoarders.find(({ connection }) => !connection.isOpen);
    closed?.client.resume();
    await poll(() => closed?.client.unread.includes("the server's outbound queues are full")).toBe(true);
    const bytes = closed?.client.unread ?? Buffer.alloc(0);
    expect(bytes.readUInt16BE(bytes.indexOf('slow consumer') - 2)).toBe(4000);
    late.client.resume();
    await poll(() => late.connection.bufferedBytes).toBe(0);
    for (const { client } of [...hoarders, late]) await client.close();
    await poll(() => closes.length).toBe(3);
    expect(await heldBytes()).toBe(0);
  });

  it('with drop, empties the longest queues but for the frame that has begun, and everybody stays', async () => {
    await start('drop');
    const hoarders = [await stuck('a'), await stuck('b')];
    const late = await stuck('late');
    for (const { connection } of hoarders) fill(connection, 1_900_000);
    fill(late.connection, 300_000);
    expect(late.connection.bufferedBytes).toBeGreaterThanOrEqual(300_000);
    expect(Math.min(...hoarders.map(({ connection }) => connection.bufferedBytes))).toBeLessThan(20_010);
    expect(connections.every(({ isOpen }) => isOpen)).toBe(true);
    expect(await harness.count('messages_dropped_outbound_bytes')).toBeGreaterThan(80);
    expect(await heldBytes()).toBeLessThan(MAX_PER_WORKER);
    for (const { client } of [...hoarders, late]) client.resume();
    await poll(() => connections.every(({ bufferedBytes }) => bufferedBytes === 0)).toBe(true);
    for (const { client } of hoarders) {
      // What is left of the stream is whole frames.
      const frames = client.unread;
      let at = 0;
      while (at < frames.length) {
        expect(frames.readUInt32BE(at)).toBe(0x827e4e20);
        at += 4 + 20_000;
      }
      expect(at).toBe(frames.length);
      await client.close();
    }
    await late.client.close();
  });

  it.each(['close', 'drop'] as const)(
    'with %s, ends connections when frames that have begun leave no room, and calls their hooks',
    async (policy) => {
      await start(policy);
      const stucks = [await stuck('a'), await stuck('b'), await stuck('c')];
      for (const { connection } of stucks) expect(connection.send(Buffer.alloc(1_500_000))).toBe(true);
      expect(await harness.count('ended_outbound_bytes')).toBe(1);
      // Nothing of the others could be dropped: they stay.
      expect(await harness.count('closed_outbound_bytes')).toBe(0);
      await poll(() => closes).toHaveLength(1);
      expect(closes).toEqual([[expect.stringMatching(/^[ab]$/), 1006]]);
      expect(await heldBytes()).toBeLessThan(MAX_PER_WORKER);
      for (const { client } of stucks) client.reset();
      await poll(() => closes.length).toBe(3);
      expect(await heldBytes()).toBe(0);
    },
  );

  it('ends a connection that is sent a frame larger than any queue may be, and nobody else', async () => {
    await start('close');
    const other = await stuck('other');
    fill(other.connection, 1_000_000);
    const { client, connection } = await stuck('large');
    expect(connection.send(Buffer.alloc(3_000_000))).toBe(false);
    expect(connection.isOpen).toBe(false);
    await poll(() => closes).toEqual([['large', 1006]]);
    expect(other.connection.isOpen).toBe(true);
    client.reset();
    other.client.reset();
  });

  it('counts a publication once, in however many queues it stands', async () => {
    await start('close');
    const stucks = await Promise.all(Array.from({ length: 10 }, () => stuck('reader')));
    for (let published = 0; published < 15; published++) {
      harness.publish('news', Buffer.alloc(100_000));
      await harness.counts('publications', published + 1);
    }
    await harness.counts('deliveries', 150);
    const waiting = connections.reduce((sum, { bufferedBytes }) => sum + bufferedBytes, 0);
    expect(waiting).toBeGreaterThan(MAX_PER_WORKER * 2);
    expect(await heldBytes()).toBeLessThan(1_600_000);
    expect(connections.every(({ isOpen }) => isOpen)).toBe(true);
    for (const { client } of stucks) client.resume();
    await poll(() => connections.every(({ bufferedBytes }) => bufferedBytes === 0)).toBe(true);
    expect(await heldBytes()).toBe(0);
    for (const { client } of stucks) await client.close();
  });
});
