import { eventually, liveBytes } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeBrokerContract, Recorder, TestBroker } from '../broker.contract.ts';
import { MemoryBrokerExchange } from './exchange.ts';
import { InProcessLink } from './in-process-link.ts';
import { MemoryBroker } from './memory-broker.ts';

let exchange: MemoryBrokerExchange;
let links: InProcessLink[];

beforeEach(() => {
  exchange = new MemoryBrokerExchange();
  links = [];
});

afterEach(() => {
  exchange.stop();
  for (const link of links) link.close();
});

interface Worker extends TestBroker<MemoryBroker> {
  readonly link: InProcessLink;
}

interface AttachOptions {
  readonly maxBytes?: number;
  readonly subscribeTimeoutMs?: number;
  readonly unsubscribeLingerMs?: number;
}

async function start(options: AttachOptions = {}): Promise<Worker> {
  const { maxBytes = 16 * 1024 * 1024, ...brokerOptions } = options;
  const seen = new Recorder();
  const link: InProcessLink = new InProcessLink(exchange, {
    workerId: links.length,
    maxBytes,
    onMessage: (message) => broker.onMessage(message),
  });
  const broker = new MemoryBroker({ handlers: seen, wanted: seen.wanted, link, ...brokerOptions });
  links.push(link);
  await broker.start();
  await eventually(() => broker.server !== undefined, { what: 'the exchange has answered' });
  return Object.assign(new TestBroker(broker, seen), { link });
}

describe('the embedded broker', () => {
  describeBrokerContract({
    create: (seen, options) => {
      const link: InProcessLink = new InProcessLink(exchange, {
        workerId: links.length,
        onMessage: (message) => broker.onMessage(message),
      });
      const broker = new MemoryBroker({ handlers: seen, wanted: seen.wanted, link, ...options });
      links.push(link);
      return broker;
    },
    control: (message) => {
      exchange.control(message);
      return Promise.resolve();
    },
  });

  it('refuses a publication that the link does not take, and takes the next one that fits', async () => {
    const worker = await start({ maxBytes: 1_000 });
    const { broker, seen } = worker;
    await worker.subscribe('news');
    await expect(broker.publish('news', Buffer.alloc(1_000))).rejects.toMatchObject({
      code: 'BROKER_OVERLOADED',
    });
    await broker.publish('news', Buffer.from('small'));
    await eventually(() => seen.texts('news').includes('small'));
    expect(seen.publications).toHaveLength(1);
  });

  it('subscribes later when the link has no room at first', async () => {
    const worker = await start({ maxBytes: 700 });
    const { broker } = worker;
    const published = broker.publish('fill', Buffer.alloc(130));
    expect(await worker.subscribe('news')).toBe('confirmed');
    await published;
  });

  it('rejects a subscribe that the exchange does not answer in time, and leaves nothing behind', async () => {
    const worker = await start({ subscribeTimeoutMs: 40, unsubscribeLingerMs: 10 });
    const { broker, link } = worker;
    link.setReading(false);
    await expect(worker.subscribe('news')).rejects.toMatchObject({ code: 'BROKER_SUBSCRIBE_TIMEOUT' });
    link.setReading(true);
    expect(await worker.subscribe('other')).toBe('confirmed');
    expect(broker.isConfirmed('news')).toBe(false);
    await eventually(() => exchange.channelCount === 1, { what: 'the exchange forgets the channel, too' });
  });
});

describe('a mark', () => {
  it('is refused when a worker that hears it has missed something, and sent again when it knows', async () => {
    const [sender, slow] = [await start(), await start({ maxBytes: 5_000 })];
    const { markAddress } = slow.broker;
    await slow.subscribe('news');
    await sender.broker.watchMarks(markAddress);
    const { epoch } = slow.broker;
    slow.link.setReading(false);
    for (let index = 0; index < 20; index += 1) await sender.broker.publish('news', Buffer.alloc(100));
    await expect(sender.broker.mark(markAddress, 1)).rejects.toMatchObject({
      code: 'BROKER_REFUSED',
      message: expect.stringContaining('reads too slowly'),
    });
    slow.link.setReading(true);
    await eventually(() => slow.seen.gaps.length > 0, { what: 'it is told of the gap' });
    await eventually(() => sender.broker.mark(markAddress, 2).then(() => true));
    await eventually(() => slow.seen.marks.length === 1 && sender.seen.marks.length === 1, {
      what: 'the second is heard',
    });
    expect(slow.seen.marks).toEqual([{ address: markAddress, id: 2, epoch: epoch + slow.seen.gaps.length }]);
    expect(slow.broker.epoch).toBeGreaterThan(epoch);
    expect(sender.broker.epoch).toBe(1);
  });

  it('is not heard by its sender when the other cannot take it', async () => {
    const [sender, slow] = [await start(), await start({ maxBytes: 600 })];
    await sender.broker.watchMarks(slow.broker.markAddress);
    slow.link.setReading(false);
    await sender.broker.mark(slow.broker.markAddress, 1);
    await expect(sender.broker.mark(slow.broker.markAddress, 2)).rejects.toMatchObject({
      code: 'BROKER_REFUSED',
    });
    expect(sender.seen.marks.map(({ id }) => id)).toEqual([1]);
  });

  it('is refused when nobody hears its address, because the worker is gone', async () => {
    const [sender, gone] = [await start(), await start()];
    gone.link.close();
    await expect(sender.broker.mark(gone.broker.markAddress, 1)).rejects.toMatchObject({
      code: 'BROKER_REFUSED',
      message: expect.stringContaining('or is gone'),
    });
  });
});

describe('MemoryBrokerExchange', () => {
  it('gives all workers the publications of all workers in one order', async () => {
    const workers = await Promise.all([start(), start(), start()]);
    for (const worker of workers) await worker.subscribe('a');
    for (const worker of workers) await worker.subscribe('b');
    for (let index = 0; index < 300; index += 1) {
      await workers[index % 3]?.broker.publish(index % 2 === 0 ? 'a' : 'b', Buffer.from(String(index)));
    }
    for (const { seen } of workers) await eventually(() => seen.publications.length === 300);
    const orders = workers.map(({ seen }) => seen.publications.map(({ payload }) => String(payload)));
    expect(orders[1]).toEqual(orders[0]);
    expect(orders[2]).toEqual(orders[0]);
  });

  it('sends a worker only what it subscribed', async () => {
    const [one, other] = [await start(), await start()];
    await one.subscribe('mine');
    await other.broker.publish('mine', Buffer.from('x'));
    await other.broker.publish('nobody', Buffer.from('x'));
    await eventually(() => one.seen.publications.length === 1);
    expect(exchange.counters).toMatchObject({ publicationCount: 2, deliveryCount: 1, droppedCount: 0 });
  });

  it('drops publications for a worker that does not read, and tells it of the gap before anything new', async () => {
    const [slow, quick] = [await start({ maxBytes: 5_000 }), await start()];
    for (const worker of [slow, quick]) {
      await worker.subscribe('one');
      await worker.subscribe('two');
    }
    slow.link.setReading(false);
    for (let index = 0; index < 20; index += 1) {
      await quick.broker.publish(index % 2 === 0 ? 'one' : 'two', Buffer.alloc(100, index));
    }
    await eventually(() => quick.seen.publications.length === 20);
    const dropped = exchange.counters.droppedCount;
    expect(dropped).toBeGreaterThan(10);
    expect(slow.seen.publications).toEqual([]);

    slow.link.setReading(true);
    // One gap, or more when the link was not full while channels were over their share.
    const told = (): number =>
      slow.seen.gaps.reduce(
        (sum, { reason }) => sum + Number(/dropped (\d+) publications/.exec(reason)?.[1]),
        0,
      );
    await eventually(() => told() === dropped, { what: 'the worker is told without new traffic' });
    expect(slow.seen.publications).toHaveLength(20 - dropped);
    expect(new Set(slow.seen.gaps.flatMap(({ channels }) => channels ?? []))).toEqual(
      new Set(['one', 'two']),
    );
    await quick.broker.publish('one', Buffer.from('new'));
    await eventually(() => slow.seen.texts('one').includes('new'));
    expect(exchange.counters).toMatchObject({ droppedCount: dropped, gapCount: slow.seen.gaps.length });
    expect(quick.seen.gaps).toEqual([]);
  });

  it('answers subscriptions that it could not answer at once', async () => {
    const slow = await start({ maxBytes: 700 });
    const other = await start();
    await slow.subscribe('filled');
    slow.link.setReading(false);
    await other.subscribe('filled');
    await other.broker.publish('filled', Buffer.alloc(130));
    await eventually(() => other.seen.publications.length === 1);
    const subscribed = slow.subscribe('late');
    await eventually(() => exchange.channelCount === 2, { what: 'the exchange knows the subscription' });
    slow.link.setReading(true);
    expect(await subscribed).toBe('confirmed');
  });

  it('forgets a channel when its last worker has left it for longer than the linger', async () => {
    const worker = await start({ unsubscribeLingerMs: 20 });
    const { broker } = worker;
    for (let index = 0; index < 300; index += 1) await worker.subscribe(String(index));
    for (let index = 0; index < 300; index += 1) worker.unsubscribe(String(index));
    expect(exchange.channelCount).toBe(300);
    await worker.subscribe('7');
    await eventually(() => exchange.channelCount === 1);
    expect(broker.isConfirmed('7')).toBe(true);
  });

  it('forgets what a worker subscribed when it is detached', async () => {
    const [one, other] = [await start(), await start()];
    await one.subscribe('both');
    await other.subscribe('both');
    await one.subscribe('mine');
    expect(exchange.channelCount).toBe(2);
    one.link.close();
    expect(exchange.channelCount).toBe(1);
    one.link.close();
    await other.broker.publish('both', Buffer.from('x'));
    await eventually(() => other.seen.publications.length === 1);
    expect(exchange.counters.deliveryCount).toBe(1);
    other.link.close();
    expect(exchange.channelCount).toBe(0);
  });

  it('gives a channel to the workers that want it, whoever comes and goes on others', () => {
    const got: string[] = [];
    const ports = ['a', 'b', 'c'].map((worker, index) =>
      exchange.attach(index, (message) => {
        if (message.type === 'publication') got.push(`${worker} ${message.channel}`);
        return true;
      }),
    );
    const [a, b, c] = ports;
    const receivers = (): string[] => {
      got.length = 0;
      for (const channel of ['1', '2', '3']) exchange.publish(channel, Buffer.from('x'));
      return got.toSorted();
    };
    a?.receive({ type: 'subscribe', channels: ['1', '2', '3', '3'] });
    expect(receivers()).toEqual(['a 1', 'a 2', 'a 3']);
    b?.receive({ type: 'subscribe', channels: ['2'] });
    c?.receive({ type: 'subscribe', channels: ['2', '3'] });
    expect(receivers()).toEqual(['a 1', 'a 2', 'a 3', 'b 2', 'c 2', 'c 3']);
    a?.receive({ type: 'unsubscribe', channels: ['2', '3', '3'] });
    expect(receivers()).toEqual(['a 1', 'b 2', 'c 2', 'c 3']);
    a?.receive({ type: 'subscribe', channels: ['3'] });
    c?.detach();
    expect(receivers()).toEqual(['a 1', 'a 3', 'b 2']);
    b?.receive({ type: 'unsubscribe', channels: ['1', '2'] });
    expect(receivers()).toEqual(['a 1', 'a 3']);
    expect(exchange.channelCount).toBe(2);
  });

  it('keeps less than 80 bytes of a channel that one worker wants, its name not included', () => {
    const port = exchange.attach(0, () => true);
    const channels = Array.from({ length: 50_000 }, (_, index) => `user:${index}`);
    const before = liveBytes();
    port.receive({ type: 'subscribe', channels });
    expect((liveBytes() - before) / channels.length).toBeLessThan(80);
    expect(exchange.channelCount).toBe(channels.length);
  });

  it('detaches the former worker when its id is attached again', async () => {
    const former = await start();
    await former.subscribe('news');
    exchange.attach(0, () => true);
    expect(exchange.channelCount).toBe(0);
  });
});
