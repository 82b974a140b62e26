import { clientFrame, eventually, type FarmProcess, RawClient, readFrames } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import {
  call,
  connect,
  connectMany,
  connectRaw,
  counter,
  expectEcho,
  info,
  startFarm,
  SWITCHING,
  upgradeRequest,
} from './harness/system.ts';

/** What a client that does not read lets the kernel take is less than 200 KB: these are 480 KB. */
const PUBLICATIONS = 60;
const PAYLOAD = '.'.repeat(8000);
const OTHERS = 99;

/** A client that has its 101 and reads nothing more. */
async function openSlow(farm: FarmProcess, path: string): Promise<RawClient> {
  const client = await connectRaw(farm.port);
  client.writeText(upgradeRequest(path));
  expect(await client.readHead()).toContain(SWITCHING);
  client.pause();
  return client;
}

async function outboundBytes(farm: FarmProcess): Promise<number> {
  const { workers } = await info(farm);
  return workers.reduce((sum, worker) => sum + worker.outboundBytes, 0);
}

async function publishAll(farm: FarmProcess): Promise<void> {
  for (let number = 0; number < PUBLICATIONS; number++) {
    expect((await call(farm, 'publish', { channel: 'news', data: `${number} ${PAYLOAD}` })).status).toBe(200);
  }
}

/** A masked binary frame of zeros. */
function frameOfZeros(length: number): Buffer {
  return clientFrame(0x82, Buffer.alloc(length));
}

describe('while one of a hundred subscribers does not read', () => {
  it('the others get every publication, and with the policy close it is closed with 4000', async () => {
    const farm = await startFarm(['--max-outbound-bytes', '65536']);
    const slow = await openSlow(farm, '/news?channel=news');
    const others = await connectMany(farm, '/news?channel=news', OTHERS);
    await publishAll(farm);
    for (const client of others) {
      for (let number = 0; number < PUBLICATIONS; number++) {
        expect((await client.nextMessage()).text).toBe(`${number} ${PAYLOAD}`);
      }
    }
    expect(await counter(farm, 'closed_slow_consumer')).toBe(1);
    // What had not begun to be sent is given back at once.
    expect(await outboundBytes(farm)).toBeLessThan(16_384);

    slow.resume();
    await eventually(() => slow.unread.includes('the outbound queue is full'), {
      what: 'the close frame arrives',
    });
    const frames = readFrames(slow.unread);
    const close = frames.pop();
    expect(close?.opcode).toBe(8);
    expect(close?.payload.readUInt16BE()).toBe(4000);
    frames.forEach(({ payload }, number) => expect(String(payload)).toBe(`${number} ${PAYLOAD}`));
    expect(await outboundBytes(farm)).toBe(0);
  });

  it('the others get every publication, and with the policy drop it misses some and stays', async () => {
    const farm = await startFarm(['--max-outbound-bytes', '65536', '--slow-consumer-policy', 'drop']);
    const slow = await openSlow(farm, '/news?channel=news');
    const others = await connectMany(farm, '/news?channel=news', OTHERS);
    await publishAll(farm);
    for (const client of others) {
      for (let number = 0; number < PUBLICATIONS; number++) {
        expect((await client.nextMessage()).text).toBe(`${number} ${PAYLOAD}`);
      }
    }
    const dropped = await counter(farm, 'messages_dropped_slow_consumer');
    expect(dropped).toBeGreaterThan(0);
    slow.resume();
    await eventually(async () => expect(await outboundBytes(farm)).toBe(0));
    await call(farm, 'publish', { channel: 'news', data: 'the last' });
    await eventually(() => slow.unread.includes('the last'), { what: 'it gets publications again' });
    expect(readFrames(slow.unread)).toHaveLength(PUBLICATIONS - dropped + 1);
    expect(await counter(farm, 'closed')).toBe(0);
  });
});

describe('at maxOutboundBytesPerWorker', () => {
  it.each([
    ['close', 'closed_outbound_bytes'],
    ['drop', 'messages_dropped_outbound_bytes'],
  ])('with %s the longest queues pay, and who reads is served', async (policy, counted) => {
    const farm = await startFarm([
      '--workers=1',
      '--max-outbound-bytes=1048576',
      '--max-outbound-bytes-per-worker=2097152',
      `--slow-consumer-policy=${policy}`,
    ]);
    const reader = await connect(farm, '/echo');
    const message = frameOfZeros(60_000);
    for (let hoarder = 0; hoarder < 6; hoarder++) {
      const client = await openSlow(farm, '/echo');
      // Echoes that nobody shares: a megabyte, of which the kernel takes less than 200 KB.
      client.write(Buffer.concat(Array.from({ length: 17 }, () => message)));
      await eventually(async () => expect(await counter(farm, 'messages_received')).toBe(18 * hoarder + 17));
      await expectEcho(reader, 'still here');
      expect(await outboundBytes(farm)).toBeLessThanOrEqual(2_097_152);
    }
    expect(await counter(farm, counted)).toBeGreaterThan(0);
    if (policy === 'drop') expect(await counter(farm, 'closed')).toBe(0);
    await expectEcho(reader, 'still here');
  });
});

describe('while 100 clients each send 16 KB of 7-byte frames', () => {
  it('the echo of another overtakes theirs', async () => {
    const frames = Math.floor((16 * 1024) / 7);
    const farm = await startFarm(['--workers=1']);
    const other = await connect(farm, '/echo');
    const busy = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const client = await connectRaw(farm.port);
        client.writeText(upgradeRequest('/echo'));
        expect(await client.readHead()).toContain(SWITCHING);
        return client;
      }),
    );
    const burst = Buffer.concat(Array.from({ length: frames }, () => frameOfZeros(1)));
    for (const client of busy) client.write(burst);
    await expectEcho(other, 'in between');
    const answered = busy.filter(({ unread }) => unread.length === 3 * frames).length;
    expect(answered).toBeLessThan(50);
    for (const client of busy) {
      expect(await client.read(3 * frames)).toEqual(
        Buffer.concat(Array.from({ length: frames }, () => Buffer.from([0x82, 1, 0]))),
      );
    }
  });
});
