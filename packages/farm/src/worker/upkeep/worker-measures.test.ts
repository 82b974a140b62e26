import { makeCertificate } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import { poll, textFrame, WorkerHarness, type HarnessOptions } from '../fixtures/worker-harness.ts';

let harness: WorkerHarness | undefined;

async function start(apps: App | readonly App[], options?: HarnessOptions): Promise<WorkerHarness> {
  harness = await WorkerHarness.start(apps, options);
  return harness;
}

afterEach(async () => {
  await harness?.stop();
  harness = undefined;
});

const NEWS: App = {
  name: 'news',
  upgrade: ({ path }) => (path === '/news' ? accept({ channels: ['news'] }) : undefined),
};
const ECHO: App = {
  name: 'echo',
  upgrade: () => accept(),
  message: (connection, data) => {
    connection.send(data);
  },
};

/** The frame of a text of 100 bytes, as a client sends it and as the server does. */
const TEXT = 'x'.repeat(100);
const CLIENT_FRAME_BYTES = 106;
const SERVER_FRAME_BYTES = 102;

describe('what a worker has measured', () => {
  it('has its connections by app, and its sockets by state', async () => {
    const worker = await start([NEWS, ECHO]);
    await worker.open('/news');
    await worker.open('/news');
    const talker = await worker.open('/echo');
    // The first part of a message in two fragments.
    talker.write(Buffer.from('01 81 00000000 61'.replaceAll(' ', ''), 'hex'));
    const silent = await worker.connect();
    silent.writeText('GET ');
    await poll(async () => (await worker.measured()).sockets).toMatchObject({
      open: 2,
      awake: 1,
      handshake: 1,
      closing: 0,
      http: 0,
    });
    const { connections, gauges } = await worker.measured();
    expect(connections).toEqual({ news: 2, echo: 1 });
    expect(gauges).toMatchObject({ subscriptions: 2, channels: 1, broker_ready: 1, outbound_queues: 0 });
    await silent.close();
  });

  it.each([
    ['', {}],
    [' over TLS', { tls: makeCertificate() }],
  ])('has the bytes that moved%s, of broadcasts, too', async (_, options: HarnessOptions) => {
    const worker = await start([NEWS, ECHO], options);
    const readers = [await worker.client('/news'), await worker.client('/news')];
    const talker = await worker.client('/echo');
    const before = (await worker.measured()).totals;
    talker.send(TEXT);
    await talker.nextMessage();
    worker.publish('news', TEXT);
    for (const reader of readers) await reader.nextMessage();
    const after = (await worker.measured()).totals;
    expect((after.received_bytes ?? 0) - (before.received_bytes ?? 0)).toBe(CLIENT_FRAME_BYTES);
    expect((after.sent_bytes ?? 0) - (before.sent_bytes ?? 0)).toBe(3 * SERVER_FRAME_BYTES);
  });

  it('has the time that each publication took to all of its subscribers', async () => {
    const worker = await start(NEWS);
    const reader = await worker.client('/news');
    for (let count = 0; count < 3; count++) worker.publish('news', 'hello');
    for (let count = 0; count < 3; count++) await reader.nextMessage();
    const { counts = [], sum = 0 } = (await worker.measured()).histograms.broadcast_duration_seconds ?? {};
    expect(counts.reduce((all, count) => all + count)).toBe(3);
    expect(sum).toBeGreaterThanOrEqual(0);
    expect(sum).toBeLessThan(60);
  });

  it('has how connections ended, by codes that the server knows', async () => {
    const worker = await start({
      upgrade: () => accept(),
      message: (connection, data) => {
        connection.close(Number(data.toString()));
      },
    });
    for (const code of ['4321', '4321', '1000']) {
      const client = await worker.client();
      client.send(code);
      await client.closed;
    }
    const rude = await worker.open();
    rude.write(Buffer.from('88 82 00000000 0fa5'.replaceAll(' ', ''), 'hex'));
    await worker.counts('closed', 4);
    // 0x0fa5 is 4005, which only this client has thought of.
    expect((await worker.measured()).closes).toEqual({ 1000: 1, 4321: 2, other: 1 });
  });

  it('has a sample of TCP, CPU, memory and descriptors', async () => {
    const worker = await start(ECHO);
    const client = await worker.open();
    client.write(textFrame('hello'));
    await client.read((unread) => (unread.length >= 7 ? 7 : false));
    const { gauges, totals, histograms } = await worker.measured();
    expect(gauges).toMatchObject({
      tcp_sample_connections: 1,
      tcp_sample_silent_connections: 0,
      resident_bytes: expect.any(Number),
    });
    expect(histograms.tcp_rtt_seconds?.counts.reduce((all, count) => all + count)).toBe(1);
    expect(gauges.tcp_sample_retransmitted_ratio).toBeLessThanOrEqual(1);
    expect(gauges.descriptors).toBeGreaterThan(10);
    expect(gauges.descriptors).toBeLessThan(gauges.descriptors_max ?? 0);
    expect(gauges.heap_used_bytes).toBeGreaterThan(1e6);
    expect(totals.cpu_user_seconds).toBeGreaterThan(0);
    expect(totals.event_loop_busy_seconds).toBeGreaterThan(0);
  });

  it('has bytes of queues while clients do not read', async () => {
    const worker = await start(NEWS, { tcpSendBufferBytes: 4096 });
    const reader = await worker.open('/news');
    reader.pause();
    const payload = Buffer.alloc(512 * 1024, 'x');
    worker.publish('news', payload);
    await poll(async () => (await worker.measured()).gauges.outbound_queues).toBe(1);
    const { gauges } = await worker.measured();
    expect(gauges.outbound_queue_bytes).toBeGreaterThan(payload.length / 2);
    expect(gauges.broadcast_queue_bytes).toBe(0);
    await reader.close();
  });
});
