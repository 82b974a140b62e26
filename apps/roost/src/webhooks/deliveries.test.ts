import type { ServerResponse } from 'node:http';
import type { LogFields } from '@roost/farm';
import { endAll, eventually, patient } from '@roost/testing';
import Pusher from 'pusher';
import { afterEach, describe, expect, it } from 'vitest';
import { Deliveries } from './deliveries.ts';
import type { DeliveryLimits } from './deliveries.ts';
import { die, hang, held, Receiver } from './fixtures/receiver.ts';
import type { Answer } from './fixtures/receiver.ts';

const APP = { id: '1', key: 'roost-key', secret: 'roost-secret' };
const LIMITS: DeliveryLimits = {
  timeoutMs: 10_000,
  retryMs: 60_000,
  batchMs: 0,
  maxBatchEvents: 100,
  maxQueuedEvents: 1000,
};

const nothing = (): void => {};

const opened: (() => Promise<unknown>)[] = [];
afterEach(() => endAll(opened));

/** What a webhook with this URL does with the events that it is given. */
class Rig {
  readonly deliveries: Deliveries;
  readonly counts = { taken: 0, failed: 0, lost: 0 };
  readonly lines: { readonly fields: LogFields; readonly message: string }[] = [];
  /** Events that need nothing more, by their number. */
  readonly settled: number[] = [];
  #added = 0;

  constructor(url: string, limits: Partial<DeliveryLimits> = {}, headers: Record<string, string> = {}) {
    const webhook = { url, eventTypes: [], channelNameStartsWith: '', channelNameEndsWith: '', headers };
    this.deliveries = new Deliveries(
      APP,
      webhook,
      { ...LIMITS, ...limits },
      {
        log: {
          debug: nothing,
          info: nothing,
          warn: (fields, message) => void this.lines.push({ fields, message }),
          error: nothing,
          fatal: nothing,
        },
        counts: {
          taken: (events) => (this.counts.taken += events),
          failed: () => (this.counts.failed += 1),
          lost: (events) => (this.counts.lost += events),
        },
      },
    );
    opened.push(() => this.deliveries.stop());
  }

  /** Adds events that are told apart by their numbers. */
  add(count: number): void {
    for (let i = 0; i < count; i++) {
      const number = this.#added++;
      this.deliveries.add(JSON.stringify({ number }), () => this.settled.push(number));
    }
  }
}

async function receiverThat(...answers: Answer[]): Promise<Receiver> {
  const receiver = await Receiver.start(...answers);
  opened.push(() => receiver.stop());
  return receiver;
}

const numbersIn = (receiver: Receiver): unknown[] => receiver.events.map(({ number }) => number);

describe('the deliveries of a webhook', () => {
  it('are POSTs that the SDK finds valid, with the headers that were configured', async () => {
    const receiver = await receiverThat();
    const rig = new Rig(`${receiver.url}?a=b`, {}, { 'X-Gateway': 'let me in' });
    rig.add(1);
    await rig.deliveries.drain();
    const [request] = receiver.requests;
    expect(request).toMatchObject({
      method: 'POST',
      path: '/hook?a=b',
      headers: { 'content-type': 'application/json', 'x-pusher-key': 'roost-key', 'x-gateway': 'let me in' },
    });
    const pusher = new Pusher({ appId: APP.id, key: APP.key, secret: APP.secret, host: '127.0.0.1' });
    const webhook = { headers: request?.headers ?? {}, rawBody: request?.body ?? '' };
    expect(pusher.webhook(webhook).isValid()).toBe(true);
    expect(pusher.webhook({ ...webhook, rawBody: `${webhook.rawBody} ` }).isValid()).toBe(false);
    expect(rig.counts).toEqual({ taken: 1, failed: 0, lost: 0 });
    expect(rig.settled).toEqual([0]);
  });

  it('go out one request at a time, in order, and gather meanwhile what comes', async () => {
    const { answer, goOn } = held();
    const receiver = await receiverThat(answer);
    const rig = new Rig(receiver.url, { maxBatchEvents: 4 });
    rig.add(1);
    await receiver.until(1);
    rig.add(6);
    goOn();
    await rig.deliveries.drain();
    expect(receiver.requests.map(({ body }) => JSON.parse(body).events.length)).toEqual([1, 4, 2]);
    expect(numbersIn(receiver)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(receiver.mostAtOnce).toBe(1);
    expect(rig.settled).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it('wait for others for a moment, but not once a batch is full', async () => {
    const receiver = await receiverThat();
    const rig = new Rig(receiver.url, { batchMs: 600_000, maxBatchEvents: 3 });
    rig.add(2);
    rig.add(1);
    await receiver.until(1);
    expect(numbersIn(receiver)).toEqual([0, 1, 2]);
    rig.add(1);
    await rig.deliveries.drain();
    expect(receiver.requests).toHaveLength(2);
  });

  it('have at most 256 KB a request, but for an event that is larger by itself', async () => {
    const receiver = await receiverThat();
    const rig = new Rig(receiver.url, { batchMs: 600_000 });
    const sizes = [200_000, 50_000, 20_000, 300_000, 10];
    for (const size of sizes) rig.deliveries.add(`"${'a'.repeat(size - 2)}"`, () => {});
    await rig.deliveries.drain();
    const received = receiver.requests.map(({ body }) =>
      JSON.parse(body).events.map((text: string) => text.length + 2),
    );
    expect(received).toEqual([[200_000, 50_000], [20_000], [300_000], [10]]);
  });

  it.each<[string, Answer]>([
    ['answers with 500', 500],
    ['redirects, which is not followed', (response) => response.writeHead(307, { Location: '/hook' }).end()],
    ['dies in the middle of its answer', die],
    ['hangs', hang],
  ])('are sent again, byte by byte the same, when the receiver %s', async (_, answer) => {
    const receiver = await receiverThat(answer);
    const rig = new Rig(receiver.url, { timeoutMs: patient(500) });
    rig.add(2);
    await receiver.until(1);
    rig.add(1);
    await rig.deliveries.drain();
    const [first, second, third] = receiver.requests;
    expect(second).toEqual(first);
    expect(third).toBeDefined();
    expect(numbersIn(receiver)).toEqual([0, 1, 0, 1, 2]);
    expect(rig.counts).toEqual({ taken: 3, failed: 1, lost: 0 });
    expect(rig.lines.map(({ message }) => message)).toEqual(['webhook failed: it is tried again']);
  });

  it('are taken when the status says so, however the answer goes on', async () => {
    const receiver = await receiverThat(
      (response) => {
        response.writeHead(204);
        response.flushHeaders();
        response.socket?.resetAndDestroy();
      },
      (response) => {
        response.writeHead(200);
        const more = (): void => void response.write('a'.repeat(100_000), more);
        response.on('error', () => {});
        more();
      },
    );
    const rig = new Rig(receiver.url);
    rig.add(1);
    await receiver.until(1);
    rig.add(1);
    await rig.deliveries.drain();
    expect(numbersIn(receiver)).toEqual([0, 1]);
    expect(rig.counts).toEqual({ taken: 2, failed: 0, lost: 0 });
  });

  it('are lost, counted and logged once, when they were tried for retryMs; later ones are sent', async () => {
    let status = 503;
    const receiver = await receiverThat(
      ...Array.from({ length: 20 }, () => (response: ServerResponse) => {
        response.writeHead(status).end();
      }),
    );
    const rig = new Rig(`${receiver.url}?token=hunter2`, { retryMs: 900 });
    rig.add(2);
    await eventually(() => rig.counts.lost === 2);
    expect(receiver.requests.length).toBeGreaterThan(1);
    expect(rig.counts).toEqual({ taken: 0, failed: receiver.requests.length, lost: 2 });
    expect(rig.settled).toEqual([0, 1]);
    status = 200;
    rig.add(1);
    await rig.deliveries.drain();
    expect(numbersIn(receiver).slice(-1)).toEqual([2]);
    expect(rig.counts.taken).toBe(1);
    await rig.deliveries.stop();
    expect(rig.lines).toEqual([
      {
        message: 'webhook failed: it is tried again',
        fields: { app: '1', url: receiver.url, reason: 'it answered with status 503', lost: 0 },
      },
      {
        message: 'webhook events lost',
        fields: { app: '1', url: receiver.url, reason: 'it answered with status 503', lost: 2 },
      },
    ]);
  });

  it('are lost, the oldest first, when more wait than may be', async () => {
    const { answer, goOn } = held();
    const receiver = await receiverThat(answer);
    const rig = new Rig(receiver.url, { maxQueuedEvents: 3 });
    rig.add(1);
    await receiver.until(1);
    rig.add(5);
    expect(rig.settled).toEqual([1, 2]);
    expect(rig.counts.lost).toBe(2);
    goOn();
    await rig.deliveries.drain();
    expect(numbersIn(receiver)).toEqual([0, 3, 4, 5]);
    expect(rig.counts.taken).toBe(4);
  });

  it('take no more than 16 MB for what waits', async () => {
    const receiver = await receiverThat(hang);
    const rig = new Rig(receiver.url);
    rig.add(1);
    await receiver.until(1);
    let settled = 0;
    for (let i = 0; i < 17; i++) rig.deliveries.add(`"${'a'.repeat(1024 * 1024 - 2)}"`, () => (settled += 1));
    expect(settled).toBe(1);
    expect(rig.counts.lost).toBe(1);
  });

  it('end at once when they are stopped, and what was not taken is not settled', async () => {
    const receiver = await receiverThat(hang);
    const rig = new Rig(receiver.url);
    rig.add(3);
    await receiver.until(1);
    await rig.deliveries.stop();
    rig.add(1);
    expect(rig.settled).toEqual([]);
    expect(rig.counts).toEqual({ taken: 0, failed: 0, lost: 0 });
    expect(rig.lines).toEqual([]);
  });

  it('say why nobody can be reached', async () => {
    const receiver = await Receiver.start();
    await receiver.stop();
    const rig = new Rig(receiver.url);
    rig.add(1);
    await eventually(() => rig.lines.length === 1);
    expect(rig.lines[0]?.fields).toMatchObject({ reason: 'ECONNREFUSED', lost: 0 });
  });
});
