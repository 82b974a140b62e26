import { eventually, liveBytes } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeBrokerContract, Recorder, TestBroker } from '../broker.contract.ts';
import { BrokerError } from '../errors.ts';
import { MemoryBrokerHub } from './hub.ts';
import { InProcessLink } from './in-process-link.ts';
import type { BrokerLinkMessage, HubPort, HubToWorkerMessage, WorkerToHubMessage } from './link.ts';
import { MemoryBroker } from './memory-broker.ts';

let hub: MemoryBrokerHub;
let links: InProcessLink[];

beforeEach(() => {
  hub = new MemoryBrokerHub();
  links = [];
});

afterEach(() => {
  hub.stop();
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
  const link: InProcessLink = new InProcessLink(hub, {
    workerId: links.length,
    maxBytes,
    onMessage: (message) => broker.onMessage(message),
  });
  const broker = new MemoryBroker({ handlers: seen, wanted: seen.wanted, link, ...brokerOptions });
  links.push(link);
  await broker.start();
  return Object.assign(new TestBroker(broker, seen), { link });
}

describe('the embedded broker', () => {
  describeBrokerContract({
    create: (seen, options) => {
      const link: InProcessLink = new InProcessLink(hub, {
        workerId: links.length,
        onMessage: (message) => broker.onMessage(message),
      });
      const broker = new MemoryBroker({ handlers: seen, wanted: seen.wanted, link, ...options });
      links.push(link);
      return broker;
    },
    control: (message) => {
      hub.control(message);
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

  it('rejects a subscribe that the hub does not answer in time, and leaves nothing behind', async () => {
    const worker = await start({ subscribeTimeoutMs: 40, unsubscribeLingerMs: 10 });
    const { broker, link } = worker;
    link.setReading(false);
    await expect(worker.subscribe('news')).rejects.toMatchObject({ code: 'BROKER_SUBSCRIBE_TIMEOUT' });
    link.setReading(true);
    expect(await worker.subscribe('other')).toBe('confirmed');
    expect(broker.isConfirmed('news')).toBe(false);
    await eventually(() => hub.channelCount === 1, { what: 'the hub forgets the channel, too' });
  });
});

/** A broker of the hub whose publications stay on the way until they are let through, and so do acknowledgements. */
class SlowWorker {
  readonly broker: MemoryBroker;
  readonly acknowledgements: number[] = [];
  isAcknowledging = true;
  readonly #port: HubPort;
  readonly #onTheWay: WorkerToHubMessage[] = [];

  constructor(workerId: number, options: { maxInFlightBytes?: number; publishTimeoutMs?: number } = {}) {
    const seen = new Recorder();
    this.#port = hub.attach(workerId, (message) => {
      if (message.type === 'published' && !this.isAcknowledging) return false;
      if (message.type === 'published') this.acknowledgements.push(message.count);
      this.broker.onMessage(message);
      return true;
    });
    const link = {
      send: (message: WorkerToHubMessage) => this.#onTheWay.push(message) > 0,
      setReading: () => undefined,
    };
    this.broker = new MemoryBroker({ handlers: seen, wanted: seen.wanted, link, ...options });
    void this.broker.start();
  }

  /** Publishes; answers what became of it so far. */
  publish(text: string): { outcome: string } {
    const published = { outcome: '' };
    this.broker.publish('news', Buffer.from(text)).then(
      () => (published.outcome = 'ordered'),
      (error: unknown) => (published.outcome = error instanceof BrokerError ? error.code : String(error)),
    );
    return published;
  }

  letThrough(): void {
    for (const message of this.#onTheWay.splice(0)) this.#port.receive(message);
  }
}

/** The event loop turns once. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('a publish of the embedded broker', () => {
  it('resolves when the hub has ordered it, and not before', async () => {
    const worker = new SlowWorker(0);
    const published = worker.publish('x');
    for (let turns = 0; turns < 10; turns += 1) await turn();
    expect(published.outcome).toBe('');
    worker.letThrough();
    expect(hub.counters.publicationCount).toBe(1);
    await eventually(() => published.outcome === 'ordered');
  });

  it('is acknowledged together with all others of its turn', async () => {
    const worker = new SlowWorker(0);
    const first = Array.from({ length: 1_500 }, (_, index) => worker.publish(`${index}`));
    worker.letThrough();
    await eventually(() => first.every(({ outcome }) => outcome === 'ordered'));
    const second = [worker.publish('a'), worker.publish('b')];
    worker.letThrough();
    await eventually(() => second.every(({ outcome }) => outcome === 'ordered'));
    expect(worker.acknowledgements).toEqual([1_500, 1_502]);
  });

  it('is acknowledged also when the link was full, without new traffic', async () => {
    const worker = new SlowWorker(0);
    worker.isAcknowledging = false;
    const published = [worker.publish('a'), worker.publish('b')];
    worker.letThrough();
    await turn();
    await turn();
    expect(published[0]?.outcome).toBe('');
    worker.isAcknowledging = true;
    await eventually(() => published.every(({ outcome }) => outcome === 'ordered'));
    expect(worker.acknowledgements).toEqual([2]);
  });

  it('has an unknown outcome when nothing is acknowledged for too long; what comes too late counts for no other', async () => {
    const worker = new SlowWorker(0, { publishTimeoutMs: 40 });
    const lost = [worker.publish('a'), worker.publish('b')];
    await eventually(() => lost.every(({ outcome }) => outcome === 'BROKER_OUTCOME_UNKNOWN'));
    worker.letThrough();
    await eventually(() => worker.acknowledgements.length === 1);
    const next = worker.publish('c');
    await turn();
    await turn();
    expect(next.outcome).toBe('');
    worker.letThrough();
    await eventually(() => next.outcome === 'ordered');
    expect(worker.acknowledgements).toEqual([2, 3]);
  });

  it('waits as long as others are acknowledged', async () => {
    const worker = new SlowWorker(0, { publishTimeoutMs: 60 });
    const started = performance.now();
    const outcomes: { outcome: string }[] = [worker.publish('first')];
    while (performance.now() - started < 200) {
      const last = worker.publish('more');
      outcomes.push(last);
      worker.letThrough();
      await eventually(() => last.outcome !== '');
    }
    expect(new Set(outcomes.map(({ outcome }) => outcome))).toEqual(new Set(['ordered']));
  });

  it('is refused when too many bytes are under way, and taken again when they are not', async () => {
    const worker = new SlowWorker(0, { maxInFlightBytes: 10_000 });
    const large = worker.publish('x'.repeat(20_000));
    const refused = worker.publish('x');
    await turn();
    expect([large.outcome, refused.outcome]).toEqual(['', 'BROKER_OVERLOADED']);
    worker.letThrough();
    await eventually(() => large.outcome === 'ordered');
    const many = Array.from({ length: 100 }, () => worker.publish('x'));
    await turn();
    // 10,000 bytes are 11 of 897.
    expect(many.filter(({ outcome }) => outcome === '')).toHaveLength(11);
    worker.letThrough();
    await eventually(() => many.every(({ outcome }) => outcome !== ''));
    expect(many.filter(({ outcome }) => outcome === 'ordered')).toHaveLength(11);
  });

  it('that is not acknowledged when the broker stops has an unknown outcome', async () => {
    const worker = new SlowWorker(0);
    const published = worker.publish('x');
    await worker.broker.stop();
    expect(published.outcome).toBe('BROKER_OUTCOME_UNKNOWN');
  });
});

describe('MemoryBrokerHub', () => {
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
    expect(hub.counters).toMatchObject({ publicationCount: 2, deliveryCount: 1, droppedCount: 0 });
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
    const dropped = hub.counters.droppedCount;
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
    expect(hub.counters).toMatchObject({ droppedCount: dropped, gapCount: slow.seen.gaps.length });
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
    await eventually(() => hub.channelCount === 2, { what: 'the hub knows the subscription' });
    slow.link.setReading(true);
    expect(await subscribed).toBe('confirmed');
  });

  it('forgets a channel when its last worker has left it for longer than the linger', async () => {
    const worker = await start({ unsubscribeLingerMs: 20 });
    const { broker } = worker;
    for (let index = 0; index < 300; index += 1) await worker.subscribe(String(index));
    for (let index = 0; index < 300; index += 1) worker.unsubscribe(String(index));
    expect(hub.channelCount).toBe(300);
    await worker.subscribe('7');
    await eventually(() => hub.channelCount === 1);
    expect(broker.isConfirmed('7')).toBe(true);
  });

  it('forgets what a worker subscribed when it is detached', async () => {
    const [one, other] = [await start(), await start()];
    await one.subscribe('both');
    await other.subscribe('both');
    await one.subscribe('mine');
    expect(hub.channelCount).toBe(2);
    one.link.close();
    expect(hub.channelCount).toBe(1);
    one.link.close();
    await other.broker.publish('both', Buffer.from('x'));
    await eventually(() => other.seen.publications.length === 1);
    expect(hub.counters.deliveryCount).toBe(1);
    other.link.close();
    expect(hub.channelCount).toBe(0);
  });

  it('gives a channel to the workers that want it, whoever comes and goes on others', () => {
    const got: string[] = [];
    const ports = ['a', 'b', 'c'].map((worker, index) =>
      hub.attach(index, (message) => {
        if (message.type === 'publication') got.push(`${worker} ${message.channel}`);
        return true;
      }),
    );
    const [a, b, c] = ports;
    const receivers = (): string[] => {
      got.length = 0;
      for (const channel of ['1', '2', '3']) hub.publish(channel, Buffer.from('x'));
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
    expect(hub.channelCount).toBe(2);
  });

  it('keeps less than 80 bytes of a channel that one worker wants, its name not included', () => {
    const port = hub.attach(0, () => true);
    const channels = Array.from({ length: 50_000 }, (_, index) => `user:${index}`);
    const before = liveBytes();
    port.receive({ type: 'subscribe', channels });
    expect((liveBytes() - before) / channels.length).toBeLessThan(80);
    expect(hub.channelCount).toBe(channels.length);
  });

  it('detaches the former worker when its id is attached again', async () => {
    const former = await start();
    await former.subscribe('news');
    hub.attach(0, () => true);
    expect(hub.channelCount).toBe(0);
  });
});

/** A worker's link that says no as long as it is full. It opens by itself after so many tries in one turn of the event loop. */
class FullLink {
  readonly taken: string[] = [];
  isFull = false;
  /** Throws instead of saying no. */
  throws = false;
  /** Called inside of each try. */
  onTry: () => void = () => undefined;
  tries = 0;
  mostTriesInATurn = 0;
  #triesInATurn = 0;

  readonly send = (message: BrokerLinkMessage): boolean => {
    this.tries += 1;
    if (this.#triesInATurn === 0) setImmediate(() => (this.#triesInATurn = 0));
    this.#triesInATurn += 1;
    this.mostTriesInATurn = Math.max(this.mostTriesInATurn, this.#triesInATurn);
    this.onTry();
    // So that a hub which does not let the event loop turn fails instead of hanging.
    if (this.isFull && this.#triesInATurn < 1_000) {
      if (this.throws) throw new Error('the link is broken');
      return false;
    }
    this.taken.push(message.type === 'publication' ? String(message.payload) : message.type);
    return true;
  };
}

function attach(workerId = 0): { link: FullLink; port: HubPort } {
  const link = new FullLink();
  const port = hub.attach(workerId, link.send);
  port.receive({ type: 'subscribe', channels: ['news'] });
  return { link, port };
}

function publish(text: string): void {
  hub.publish('news', Buffer.from(text));
}

/** A link that keeps what it takes, in order, until the worker reads. */
class BoundedLink {
  readonly maxBufferedBytes: number;
  readonly seen: HubToWorkerMessage[] = [];
  #waiting: HubToWorkerMessage[] = [];

  constructor(maxBufferedBytes: number) {
    this.maxBufferedBytes = maxBufferedBytes;
  }

  get bufferedBytes(): number {
    return this.#waiting.reduce(
      (bytes, message) => bytes + 640 + ('payload' in message ? message.payload.length : 0),
      0,
    );
  }

  readonly send = (message: HubToWorkerMessage): boolean => {
    if (this.bufferedBytes >= this.maxBufferedBytes) return false;
    this.#waiting.push(
      'payload' in message ? { ...message, payload: Buffer.from(message.payload) } : message,
    );
    return true;
  };

  read(count = Number.POSITIVE_INFINITY): void {
    this.seen.push(...this.#waiting.splice(0, count));
  }

  /** What was read of a channel. */
  texts(channel: string): string[] {
    return this.seen.flatMap((message) =>
      message.type === 'publication' && message.channel === channel ? [String(message.payload)] : [],
    );
  }

  get gaps(): Extract<HubToWorkerMessage, { type: 'gap' }>[] {
    return this.seen.flatMap((message) => (message.type === 'gap' ? [message] : []));
  }
}

function attachBounded(channels: readonly string[], maxBufferedBytes = 100_000): BoundedLink {
  const link = new BoundedLink(maxBufferedBytes);
  hub.attach(0, link.send, link).receive({ type: 'subscribe', channels });
  link.read();
  return link;
}

/** How many of 500 kilobytes, overhead included, get into a channel's links. */
function taken(channel: string): number {
  const before = hub.counters.deliveryCount;
  for (let index = 0; index < 500; index += 1) hub.publish(channel, Buffer.alloc(360));
  return hub.counters.deliveryCount - before;
}

describe('the room in the link to a worker', () => {
  it('is shared by the channels: one that floods loses its own publications, and only it is named', async () => {
    const link = attachBounded(['flooded', 'quiet']);
    const expected: string[] = [];
    let flooded = 0;
    for (let round = 0; round < 100; round += 1) {
      for (let index = 0; index < 100; index += 1) hub.publish('flooded', Buffer.from(`${(flooded += 1)}`));
      const text = `${round} ${'.'.repeat(100)}`;
      expected.push(text);
      hub.publish('quiet', Buffer.from(text));
      link.read(10);
    }
    await eventually(
      () => {
        link.read();
        return (
          link.gaps.reduce((sum, { droppedCount }) => sum + droppedCount, 0) === hub.counters.droppedCount
        );
      },
      { what: 'every drop is told' },
    );
    expect(link.texts('quiet')).toEqual(expected);
    expect(link.texts('flooded').length + hub.counters.droppedCount).toBe(10_000);
    expect(hub.counters.droppedCount).toBeGreaterThan(1_000);
    for (const gap of link.gaps) expect(gap).toMatchObject({ channelCount: 1, channels: ['flooded'] });
    const numbers = link.texts('flooded').map(Number);
    expect(numbers).toEqual(numbers.toSorted((one, other) => one - other));
    // A flood is told of at most once in a quarter of a second, and before each stretch that is let in again.
    expect(link.gaps.length).toBeLessThan(50);
  });

  it('is half for one channel, a third each for two, and all of it again once the worker has read', () => {
    const link = attachBounded(['a', 'b']);
    expect(taken('a')).toBeCloseTo(50, -1);
    expect(taken('b')).toBeCloseTo(25, -1);
    link.read();
    expect(taken('b')).toBeCloseTo(50, -1);
  });

  it('that is used up by more channels than a gap names has a gap without names', async () => {
    const channels = Array.from({ length: 129 }, (_, index) => `${index}`);
    const link = attachBounded(channels, 10_000);
    for (let round = 0; round < 3; round += 1)
      for (const name of channels) hub.publish(name, Buffer.alloc(300));
    link.read();
    await eventually(() => {
      link.read();
      return link.gaps.length > 0;
    });
    expect(link.gaps[0]).toMatchObject({ channelCount: 129 });
    expect(link.gaps[0]?.channels).toBeUndefined();
  });

  it('is not counted for a channel beyond what the worker has not taken', () => {
    const link = attachBounded(['busy', 'other']);
    for (let index = 0; index < 20_000; index += 1) {
      hub.publish('busy', Buffer.from(`${index}`));
      if (index % 7 === 0) hub.publish('other', Buffer.from(`${index}`));
      if (index % 10 === 0) link.read(12);
    }
    link.read();
    expect(hub.counters.droppedCount).toBe(0);
    expect(link.texts('busy')).toHaveLength(20_000);
  });
});

describe('a link that says no for longer than the time to the next try', () => {
  const RETRIES = 5;

  /** It has been tried again so many times, and the event loop turned between any two. */
  const triedInVain = async (link: FullLink): Promise<void> => {
    const { tries } = link;
    await eventually(() => link.tries >= tries + RETRIES, { what: 'the hub tries again' });
    expect(link.mostTriesInATurn).toBeLessThan(10);
  };

  it.each([[false], [true]])(
    'costs one try at a time, and nobody else anything (throws: %s)',
    async (throws) => {
      const [{ link }, other] = [attach(0), attach(1)];
      Object.assign(link, { isFull: true, throws });
      publish('lost');
      hub.control(Buffer.from('control'));
      await triedInVain(link);
      publish('lost, too');
      await triedInVain(link);
      expect(link.taken).toEqual(['subscribed']);
      expect(other.link.taken).toEqual(['subscribed', 'lost', 'control', 'lost, too']);
      link.isFull = false;
      await eventually(() => link.taken.includes('gap'), { what: 'the worker is told without new traffic' });
      publish('new');
      expect(link.taken).toEqual(['subscribed', 'gap', 'new']);
      expect(hub.counters).toMatchObject({ droppedCount: 3, gapCount: 1 });
    },
  );

  it('gets the gap first and its confirmations after it, whichever came first', async () => {
    for (const isConfirmationFirst of [true, false]) {
      const { link, port } = attach();
      link.isFull = true;
      const steps = [() => port.receive({ type: 'subscribe', channels: ['late'] }), () => publish('lost')];
      for (const step of isConfirmationFirst ? steps : steps.toReversed()) {
        step();
        await triedInVain(link);
      }
      link.isFull = false;
      await eventually(() => link.taken.length === 3, { what: 'all that waited arrives' });
      expect(link.taken).toEqual(['subscribed', 'gap', 'subscribed']);
      port.detach();
    }
  });

  it('holds up none of several that are full at once', async () => {
    const ports = [attach(0), attach(1), attach(2)];
    for (const { link } of ports) link.isFull = true;
    publish('lost');
    for (const { link } of ports) await triedInVain(link);
    for (const { link } of ports) {
      link.isFull = false;
      await eventually(() => link.taken.includes('gap'), { what: 'each is told when it reads again' });
    }
  });

  it.each([
    ['its worker is detached', ({ port }: { port: HubPort }) => port.detach()],
    ['another is attached in its place', () => hub.attach(0, () => true)],
    ['the hub stops', () => hub.stop()],
  ])('is tried no more when %s, from outside or inside of a try', async (_what, end) => {
    for (const isInside of [false, true]) {
      const { link, port } = attach();
      link.isFull = true;
      publish('lost');
      await triedInVain(link);
      if (isInside) {
        link.onTry = () => end({ port });
        const { tries } = link;
        await eventually(() => link.tries > tries, { what: 'it is tried once more' });
      } else end({ port });
      const { tries } = link;
      const other = attach(1);
      other.link.isFull = true;
      publish('lost, too');
      await triedInVain(other.link);
      expect(link.tries).toBe(tries);
      other.port.detach();
    }
  });

  it('is forgotten with its worker: the next one in its place is told of no gap', async () => {
    const { link } = attach();
    link.isFull = true;
    publish('lost');
    await triedInVain(link);
    const next = attach();
    publish('new');
    await eventually(() => next.link.taken.length === 2);
    expect(next.link.taken).toEqual(['subscribed', 'new']);
  });

  it('that ends from inside of a publication costs the others nothing', () => {
    const [first, second] = [attach(0), attach(1)];
    first.link.isFull = true;
    first.link.onTry = () => first.port.detach();
    publish('news');
    expect(second.link.taken).toEqual(['subscribed', 'news']);
    expect(hub.channelCount).toBe(1);
  });

  it.each([1, 2, 3])('loses nothing untold in any order of events (seed %i)', async (seed) => {
    let state = seed;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % below;
    };
    const workers = [attach(0), attach(1), attach(2)];
    let published = 0;
    const events: ((index: number) => unknown)[] = [
      () => publish(`${(published += 1)}`),
      () => hub.control(Buffer.from('control')),
      (index) => Object.assign(workers[index]?.link ?? {}, { isFull: true, throws: random(2) === 0 }),
      (index) => Object.assign(workers[index]?.link ?? {}, { isFull: false }),
      (index) => workers[index]?.port.receive({ type: 'subscribe', channels: ['more'] }),
      (index) => workers[index]?.port.detach(),
      (index) => (workers[index] = attach(index)),
      () => new Promise((resolve) => setImmediate(resolve)),
    ];
    for (let step = 0; step < 2_000; step += 1) {
      await events[random(events.length)]?.(random(workers.length));
      if (step % 200 === 0) await new Promise((resolve) => setTimeout(resolve, 30));
    }
    for (const { link } of workers) link.isFull = false;
    const last = [attach(0), attach(1), attach(2)];
    publish('last');
    for (const { link } of [...workers, ...last]) {
      expect(link.mostTriesInATurn).toBeLessThan(1_000);
      let previous = 0;
      let isGap = true;
      for (const text of link.taken) {
        if (text === 'gap') isGap = true;
        const number = Number(text);
        if (!(number > 0)) continue;
        if (!isGap) expect(number).toBe(previous + 1);
        previous = number;
        isGap = false;
      }
    }
    for (const { link } of last) expect(link.taken).toEqual(['subscribed', 'last']);
    expect(hub.counters.gapCount).toBeGreaterThan(0);
  });
});
