import { eventually, patient } from '@roost/testing';
import { afterAll, describe, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import { clientFrame, type HarnessOptions, WorkerHarness } from '../fixtures/worker-harness.ts';

/** Short, but the clients are of this process, and must have the time to answer. */
const BEAT_MS = patient(1000);

const harnesses: WorkerHarness[] = [];
afterAll(async () => {
  for (const harness of harnesses) await harness.stop();
});

/** A worker with the shortest heartbeat, and the close codes that its app is told. */
async function start(
  beyondLimits: HarnessOptions['beyondLimits'] = {},
): Promise<{ harness: WorkerHarness; closes: number[] }> {
  const closes: number[] = [];
  const app: App = {
    upgrade: () => accept(),
    message(connection, data) {
      for (let count = data.readUInt16BE(0); count > 0; count--) connection.send(Buffer.alloc(50_000));
    },
    close: (_connection, code) => void closes.push(code),
  };
  const harness = await WorkerHarness.start(app, {
    heartbeatMs: BEAT_MS,
    heartbeatTimeoutMs: BEAT_MS,
    messageTimeoutMs: 600_000,
    maxOutboundBytes: 64 * 1024 * 1024,
    beyondLimits,
  });
  harnesses.push(harness);
  return { harness, closes };
}

describe.concurrent('the heartbeat', () => {
  it('pings who was silent for heartbeatMs, and ends who stays silent, on a worker where nothing else happens', async ({
    expect,
  }) => {
    const { harness, closes } = await start();
    const silent = await harness.open();
    const openedAt = performance.now();
    expect((await silent.read(2)).toString('hex')).toBe('8900');
    expect(performance.now() - openedAt).toBeGreaterThan(0.8 * BEAT_MS);
    await silent.closed;
    expect(performance.now() - openedAt).toBeGreaterThan(1.8 * BEAT_MS);
    expect(silent.unread).toHaveLength(0);
    expect(closes).toEqual([1006]);
    expect(await harness.count('closed_heartbeat')).toBe(1);
    expect(await harness.count('pings_sent')).toBe(1);
  });

  it('spares who answers, and does not ping who talks', async ({ expect }) => {
    const { harness, closes } = await start();
    const awake = await harness.open();
    awake.write(clientFrame(0x01, 'frag'));
    const answering = await harness.client();
    const talking = await harness.open();
    const talk = setInterval(() => talking.write(clientFrame(0x8a, '')), BEAT_MS / 5);
    expect((await awake.read(2)).toString('hex')).toBe('8900');
    await awake.closed;
    clearInterval(talk);
    expect(closes).toEqual([1006]);
    expect(talking.unread).toHaveLength(0);
    await answering.roundTrip();
    await answering.close();
    await talking.close();
  });

  it('takes a queue that shrinks for a sign of life, and ends a client that takes nothing without a ping behind its queue', async ({
    expect,
  }) => {
    const { harness, closes } = await start();
    const [slow, stuck] = [await harness.open(), await harness.open()];
    for (const client of [slow, stuck]) {
      client.pause();
      // 1,000 times 50,000 bytes.
      client.write(clientFrame(0x82, Buffer.from([0x03, 0xe8])));
    }
    // So much that the queue shrinks each time, and so little that it lasts, however long the times are.
    const takesALittle = setInterval(() => {
      const enough = slow.unread.length + 256 * 1024;
      const look = (): void => {
        if (slow.unread.length >= enough || slow.isClosed) slow.pause();
        else setImmediate(look);
      };
      slow.resume();
      look();
    }, BEAT_MS / 8);
    await harness.counts('closed_heartbeat', 1);
    expect(closes).toEqual([1006]);
    expect(await harness.count('pings_sent')).toBe(0);
    const taken = slow.unread.length;
    await eventually(() => slow.unread.length > taken + 100_000, {
      what: 'the slow one still gets its bytes',
    });
    clearInterval(takesALittle);
    slow.reset();
    stuck.reset();
  });
});

// By itself, for it blocks the loop of all.
describe('a worker that did not run for longer than both times', () => {
  it('gives clients that time to answer', async ({ expect }) => {
    const heartbeatMs = 0.4 * BEAT_MS;
    const { harness, closes } = await start({ heartbeatMs, heartbeatTimeoutMs: 3 * heartbeatMs });
    const clients = await Promise.all(Array.from({ length: 10 }, () => harness.open()));
    const answering = await harness.open();
    for (const client of [...clients, answering]) expect((await client.read(2)).toString('hex')).toBe('8900');
    answering.write(clientFrame(0x8a, ''));
    // Nothing else stops a worker that is in this process.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4.5 * heartbeatMs);
    await eventually(() => harness.logs.some(({ message }) => message.startsWith('worker did not run')), {
      what: 'the stall is logged',
    });
    // Several rounds come first: the one that has answered is pinged in the last of them.
    expect((await answering.read(2)).toString('hex')).toBe('8900');
    expect(closes).toEqual([]);
    for (const client of clients) client.write(clientFrame(0x8a, ''));
    for (const client of clients) expect((await client.read(2)).toString('hex')).toBe('8900');
    expect(closes).toEqual([]);
    // A client that does not answer is ended.
    await Promise.all([...clients, answering].map((client) => client.closed));
    expect(await harness.count('closed_heartbeat')).toBe(11);
    expect(await harness.count('stalls')).toBeGreaterThanOrEqual(1);
  });
});
