import { eventually, seededRandom } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MemoryBrokerExchange } from './exchange.ts';
import type { BrokerLinkMessage, ExchangePort, ExchangeToWorkerMessage } from './link.ts';

let exchange: MemoryBrokerExchange;

beforeEach(() => {
  exchange = new MemoryBrokerExchange();
});

afterEach(() => {
  exchange.stop();
  vi.useRealTimers();
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
    // So that an exchange which does not let the event loop turn fails instead of hanging.
    if (this.isFull && this.#triesInATurn < 1_000) {
      if (this.throws) throw new Error('the link is broken');
      return false;
    }
    this.taken.push(message.type === 'publication' ? String(message.payload) : message.type);
    return true;
  };
}

function attach(workerId = 0): { link: FullLink; port: ExchangePort } {
  const link = new FullLink();
  const port = exchange.attach(workerId, link.send);
  port.receive({ type: 'subscribe', channels: ['news'] });
  return { link, port };
}

function publish(text: string): void {
  exchange.publish('news', Buffer.from(text));
}

/** A link that keeps what it takes, in order, until the worker reads. */
class BoundedLink {
  readonly maxBufferedBytes: number;
  readonly seen: ExchangeToWorkerMessage[] = [];
  #waiting: ExchangeToWorkerMessage[] = [];

  constructor(maxBufferedBytes: number) {
    this.maxBufferedBytes = maxBufferedBytes;
  }

  get bufferedBytes(): number {
    return this.#waiting.reduce(
      (bytes, message) => bytes + 640 + ('payload' in message ? message.payload.length : 0),
      0,
    );
  }

  readonly send = (message: ExchangeToWorkerMessage): boolean => {
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

  get gaps(): Extract<ExchangeToWorkerMessage, { type: 'gap' }>[] {
    return this.seen.flatMap((message) => (message.type === 'gap' ? [message] : []));
  }
}

function attachBounded(channels: readonly string[], maxBufferedBytes = 100_000): BoundedLink {
  const link = new BoundedLink(maxBufferedBytes);
  exchange.attach(0, link.send, link).receive({ type: 'subscribe', channels });
  link.read();
  return link;
}

/** How many of 500 kilobytes, overhead included, get into a channel's links. */
function taken(channel: string): number {
  const before = exchange.counters.deliveryCount;
  for (let index = 0; index < 500; index += 1) exchange.publish(channel, Buffer.alloc(360));
  return exchange.counters.deliveryCount - before;
}

describe('the room in the link to a worker', () => {
  it('is shared by the channels: one that floods loses its own publications, and only it is named', async () => {
    const link = attachBounded(['flooded', 'quiet']);
    const expected: string[] = [];
    let flooded = 0;
    for (let round = 0; round < 100; round += 1) {
      for (let index = 0; index < 100; index += 1)
        exchange.publish('flooded', Buffer.from(`${(flooded += 1)}`));
      const text = `${round} ${'.'.repeat(100)}`;
      expected.push(text);
      exchange.publish('quiet', Buffer.from(text));
      link.read(10);
    }
    await eventually(
      () => {
        link.read();
        return (
          link.gaps.reduce((sum, { droppedCount }) => sum + droppedCount, 0) ===
          exchange.counters.droppedCount
        );
      },
      { what: 'every drop is told' },
    );
    expect(link.texts('quiet')).toEqual(expected);
    expect(link.texts('flooded').length + exchange.counters.droppedCount).toBe(10_000);
    expect(exchange.counters.droppedCount).toBeGreaterThan(1_000);
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
      for (const name of channels) exchange.publish(name, Buffer.alloc(300));
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
      exchange.publish('busy', Buffer.from(`${index}`));
      if (index % 7 === 0) exchange.publish('other', Buffer.from(`${index}`));
      if (index % 10 === 0) link.read(12);
    }
    link.read();
    expect(exchange.counters.droppedCount).toBe(0);
    expect(link.texts('busy')).toHaveLength(20_000);
  });
});

describe('a link that says no for longer than the time to the next try', () => {
  const RETRIES = 5;

  /** It has been tried again so many times, and the event loop turned between any two. */
  const triedInVain = async (link: FullLink): Promise<void> => {
    const { tries } = link;
    await eventually(() => link.tries >= tries + RETRIES, { what: 'the exchange tries again' });
    expect(link.mostTriesInATurn).toBeLessThan(10);
  };

  it.each([[false], [true]])(
    'costs one try at a time, and nobody else anything (throws: %s)',
    async (throws) => {
      const [{ link }, other] = [attach(0), attach(1)];
      Object.assign(link, { isFull: true, throws });
      publish('lost');
      exchange.control(Buffer.from('control'));
      await triedInVain(link);
      publish('lost, too');
      await triedInVain(link);
      expect(link.taken).toEqual(['subscribed']);
      expect(other.link.taken).toEqual(['subscribed', 'lost', 'control', 'lost, too']);
      link.isFull = false;
      await eventually(() => link.taken.includes('gap'), { what: 'the worker is told without new traffic' });
      publish('new');
      expect(link.taken).toEqual(['subscribed', 'gap', 'new']);
      expect(exchange.counters).toMatchObject({ droppedCount: 3, gapCount: 1 });
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
    ['its worker is detached', ({ port }: { port: ExchangePort }) => port.detach()],
    ['another is attached in its place', () => exchange.attach(0, () => true)],
    ['the exchange stops', () => exchange.stop()],
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
    expect(exchange.channelCount).toBe(1);
  });

  it.each([1, 2, 3])('loses nothing untold in any order of events (seed %i)', async (seed) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const random = seededRandom(seed);
    const workers = [attach(0), attach(1), attach(2)];
    let published = 0;
    const events: ((index: number) => unknown)[] = [
      () => publish(`${(published += 1)}`),
      () => exchange.control(Buffer.from('control')),
      (index) => Object.assign(workers[index]?.link ?? {}, { isFull: true, throws: random(2) === 0 }),
      (index) => Object.assign(workers[index]?.link ?? {}, { isFull: false }),
      (index) => workers[index]?.port.receive({ type: 'subscribe', channels: ['more'] }),
      (index) => workers[index]?.port.detach(),
      (index) => (workers[index] = attach(index)),
      () => new Promise((resolve) => setImmediate(resolve)),
    ];
    for (let step = 0; step < 2_000; step += 1) {
      await events[random(events.length)]?.(random(workers.length));
      if (step % 200 === 0) vi.advanceTimersByTime(30);
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
    expect(exchange.counters.gapCount).toBeGreaterThan(0);
  });
});
