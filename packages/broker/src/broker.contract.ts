import { eventually } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type {
  Broker,
  BrokerGap,
  BrokerHandlers,
  BrokerState,
  Publication,
  SubscribeOutcome,
} from './broker.ts';
import { encodeEnvelope } from './envelope.ts';
import { describeMarks } from './marks.contract.ts';

/** Remembers what a broker tells. */
export class Recorder implements BrokerHandlers {
  /** What the broker is to look at; whoever uses it without a {@link TestBroker} changes it. */
  readonly wanted = new Set<string>();
  readonly publications: Publication[] = [];
  readonly controls: Buffer[] = [];
  readonly states: BrokerState[] = [];
  readonly reasons: string[] = [];
  readonly gaps: BrokerGap[] = [];
  /** When each was told, on the clock of `performance.now()`. */
  readonly gapsAt: number[] = [];
  readonly warnings: string[] = [];
  readonly marks: { readonly address: string; readonly id: number; readonly epoch: number }[] = [];
  /** Publications (as `channel text`), control messages (`control text`) and marks (`mark id`), in the order of arrival. */
  readonly arrivals: string[] = [];

  brokerOnPublication(publication: Publication): void {
    this.publications.push(publication);
    this.arrivals.push(`${publication.channel} ${publication.payload.toString('latin1', 0, 32)}`);
  }

  brokerOnControl(message: Buffer): void {
    this.controls.push(message);
    this.arrivals.push(`control ${message.toString('latin1', 0, 32)}`);
  }

  brokerOnMark(address: string, id: number, epoch: number): void {
    this.marks.push({ address, id, epoch });
    this.arrivals.push(`mark ${id}`);
  }

  brokerOnState(state: BrokerState, reason: string): void {
    this.states.push(state);
    this.reasons.push(reason);
  }

  brokerOnGap(gap: BrokerGap): void {
    this.gaps.push(gap);
    this.gapsAt.push(performance.now());
  }

  brokerOnWarning(reason: string): void {
    this.warnings.push(reason);
  }

  /** Payloads of a channel as text, in the order of arrival. */
  texts(channel: string): string[] {
    return this.publications.filter((each) => each.channel === channel).map(({ payload }) => String(payload));
  }
}

interface ContractBrokerOptions {
  readonly unsubscribeLingerMs?: number;
}

/** What a kind of broker brings for its contract: brokers that hear each other, as workers of one farm do. */
export interface BrokerContract {
  /** A broker that is not started yet. */
  create(seen: Recorder, options: ContractBrokerOptions): Broker;
  /** Sends a control message the way it comes in operation. */
  control(message: Buffer): Promise<void>;
}

/** Makes brokers that are stopped after the test. */
export interface BrokerMaker {
  /** Not started. */
  readonly create: (options?: ContractBrokerOptions) => TestBroker;
  /** Ready. */
  readonly start: (options?: ContractBrokerOptions) => Promise<TestBroker>;
}

/** A broker and its owner, which wants channels as a worker's hub does. */
export class TestBroker<Kind extends Broker = Broker> {
  readonly broker: Kind;
  readonly seen: Recorder;

  constructor(broker: Kind, seen: Recorder) {
    this.broker = broker;
    this.seen = seen;
  }

  async subscribe(channel: string): Promise<SubscribeOutcome> {
    const subscribed = this.broker.subscribe(channel);
    const isNew = !this.seen.wanted.has(channel);
    this.seen.wanted.add(channel);
    try {
      return await subscribed;
    } catch (error) {
      if (isNew) this.unsubscribe(channel);
      throw error;
    }
  }

  unsubscribe(channel: string): void {
    this.broker.unsubscribe(channel);
    this.seen.wanted.delete(channel);
  }
}

/** Everything that was published before has arrived at the broker, because this has. */
export async function settle(worker: TestBroker, from: Broker = worker.broker): Promise<void> {
  const { seen } = worker;
  await worker.subscribe('settle');
  const { length } = seen.texts('settle');
  await from.publish('settle', Buffer.from('now'));
  await eventually(() => seen.texts('settle').length > length, { what: 'the settling message arrives' });
}

/** What every broker does. Call it inside a `describe`. */
export function describeBrokerContract(contract: BrokerContract): void {
  const running: Broker[] = [];

  function create(options: ContractBrokerOptions = {}): TestBroker {
    const seen = new Recorder();
    const broker = contract.create(seen, options);
    running.push(broker);
    return new TestBroker(broker, seen);
  }

  async function start(options: ContractBrokerOptions = {}): Promise<TestBroker> {
    const created = create(options);
    await created.broker.start();
    await eventually(() => created.broker.state === 'ready', { what: 'the broker is ready' });
    return created;
  }

  afterEach(async () => {
    await Promise.all(running.splice(0).map((broker) => broker.stop()));
  });

  describe('publish', () => {
    it("reaches every subscriber once, the sender's own worker included", async () => {
      const workers = [await start(), await start(), await start()] as const;
      const [first, second, third] = workers;
      expect(await first.subscribe('news')).toBe('confirmed');
      expect(await second.subscribe('news')).toBe('confirmed');
      await third.subscribe('other');
      await first.broker.publish('news', Buffer.from('hello'));
      for (const worker of workers) await settle(worker, first.broker);
      expect(first.seen.texts('news')).toEqual(['hello']);
      expect(second.seen.texts('news')).toEqual(['hello']);
      expect(third.seen.publications.map(({ channel }) => channel)).toEqual(['settle']);
    });

    it.each([
      ['no bytes', Buffer.alloc(0)],
      ['every byte', Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))],
      ['1 MiB', Buffer.alloc(1024 * 1024, Buffer.from('c3280d0a00ff', 'hex'))],
      ['what looks like a reply of Redis', Buffer.from('*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n')],
    ])('carries %s unchanged', async (_what, payload) => {
      const worker = await start();
      await worker.subscribe('bytes');
      await worker.broker.publish('bytes', payload);
      await settle(worker);
      const [publication] = worker.seen.publications;
      expect(publication?.payload.equals(payload)).toBe(true);
    });

    it('carries attributes beside the payload', async () => {
      const worker = await start();
      await worker.subscribe('news');
      const attributes = { event: 'greet', except: '1.2', user: 'né' };
      await worker.broker.publish('news', Buffer.from('hello'), attributes);
      await worker.broker.publish('news', Buffer.from('bye'), {});
      await worker.broker.publish('news', Buffer.from('raw'));
      await settle(worker);
      const plain = { channel: 'news', kind: 'publication', version: 0 };
      expect(worker.seen.publications.slice(0, 3)).toEqual([
        { ...plain, ...attributes, payload: Buffer.from('hello') },
        { ...plain, payload: Buffer.from('bye') },
        { ...plain, payload: Buffer.from('raw') },
      ]);
    });

    it('takes nothing that is published for the news of a member', async () => {
      const worker = await start();
      await worker.subscribe('news');
      const forged = encodeEnvelope(Buffer.alloc(0), { kind: 'leave', version: 7, user: 'somebody' });
      await worker.broker.publish('news', forged);
      await settle(worker);
      expect(worker.seen.publications[0]).toEqual({
        channel: 'news',
        kind: 'publication',
        version: 0,
        payload: forged,
      });
    });

    it('takes any Uint8Array, a part of a larger one too, and leaves it to the caller', async () => {
      const worker = await start();
      await worker.subscribe('bytes');
      const whole = new Uint8Array([1, 2, 3, 4, 5]);
      const published = worker.broker.publish('bytes', whole.subarray(1, 4));
      whole.fill(0);
      await published;
      await settle(worker);
      expect(worker.seen.publications[0]?.payload.toString('hex')).toBe('020304');
    });

    it('gives the receiver a payload with memory of its own', async () => {
      const workers = [await start(), await start()] as const;
      for (const worker of workers) await worker.subscribe('bytes');
      await workers[0].broker.publish('bytes', Buffer.from('mine'));
      for (const worker of workers) await settle(worker);
      const [one, other] = workers.map(({ seen }) => seen.publications[0]?.payload.buffer);
      expect(one?.byteLength).toBe(4);
      expect(other?.byteLength).toBe(4);
      expect(one).not.toBe(other);
    });

    it('keeps the order of a channel, from each publisher and for all subscribers alike', async () => {
      const workers = [await start(), await start()] as const;
      for (const worker of workers) await worker.subscribe('ordered');
      const published: Promise<unknown>[] = [];
      for (let index = 0; index < 500; index += 1) {
        for (const [worker, { broker }] of workers.entries()) {
          published.push(broker.publish('ordered', Buffer.from(`${worker}:${index}`)));
        }
      }
      await Promise.all(published);
      for (const worker of workers) {
        await eventually(() => worker.seen.publications.length === 1_000, { what: 'all arrive' });
      }
      const orders = workers.map(({ seen }) => seen.texts('ordered'));
      expect(orders[0]).toEqual(orders[1]);
      const expected = Array.from({ length: 500 }, (_, index) => `0:${index}`);
      expect(orders[0]?.filter((text) => text.startsWith('0:'))).toEqual(expected);
    });

    it('has its place once it resolves: who publishes next through another broker is not overtaken', async () => {
      const workers = [await start(), await start()] as const;
      for (const worker of workers) await worker.subscribe('turns');
      const expected: string[] = [];
      for (let index = 0; index < 100; index += 1) {
        for (const [worker, { broker }] of workers.entries()) {
          // What else is under way from here must not matter.
          const other = broker.publish('elsewhere', Buffer.alloc(worker === 0 ? 50_000 : 1));
          await broker.publish('turns', Buffer.from(`${index}:${worker}`));
          expected.push(`${index}:${worker}`);
          await other;
        }
      }
      for (const worker of workers) {
        await settle(worker);
        expect(worker.seen.texts('turns')).toEqual(expected);
      }
    });

    it('carries names of up to 1,024 bytes of UTF-8, with spaces, line ends and keys of objects', async () => {
      const worker = await start();
      const names = ['ü'.repeat(512), 'a b\r\nc', '__proto__', 'toString', '🐓', '*', 'x'.repeat(1024)];
      for (const name of names) await worker.subscribe(name);
      for (const name of names) await worker.broker.publish(name, Buffer.from(name));
      await settle(worker);
      expect(worker.seen.publications.slice(0, names.length).map(({ channel }) => channel)).toEqual(names);
      for (const name of names) expect(worker.seen.texts(name)).toEqual([name]);
    });

    it.each([
      ['is empty', ''],
      ['has 1,025 bytes', 'x'.repeat(1025)],
      ['has 1,026 bytes in 513 characters', 'ü'.repeat(513)],
      ['has no UTF-8 form', 'a\ud800'],
    ])('refuses a channel name that %s, and so does subscribe', async (_what, name) => {
      const worker = await start();
      const { broker } = worker;
      const expected = { code: 'BROKER_INVALID_CHANNEL' };
      await expect(broker.publish(name, Buffer.from('x'))).rejects.toMatchObject(expected);
      await expect(worker.subscribe(name)).rejects.toMatchObject(expected);
      expect(broker.isConfirmed(name)).toBe(false);
    });
  });

  describe('subscribe', () => {
    it('is confirmed before it resolves, and not before it is called', async () => {
      const worker = await start();
      const { broker } = worker;
      expect(broker.isConfirmed('news')).toBe(false);
      const subscribed = worker.subscribe('news');
      expect(broker.isConfirmed('news')).toBe(false);
      expect(await subscribed).toBe('confirmed');
      expect(broker.isConfirmed('news')).toBe(true);
    });

    it('misses nothing that is published after it resolved', async () => {
      const [publisher, subscriber] = [await start(), await start()];
      for (let index = 0; index < 50; index += 1) {
        const channel = `channel ${index}`;
        await subscriber.subscribe(channel);
        await publisher.broker.publish(channel, Buffer.from('first'));
      }
      await eventually(() => subscriber.seen.publications.length === 50, { what: 'all 50 arrive' });
    });

    it('can be called many times at once for one channel', async () => {
      const worker = await start();
      const outcomes = await Promise.all(Array.from({ length: 100 }, () => worker.subscribe('news')));
      expect(new Set(outcomes)).toEqual(new Set(['confirmed']));
      await worker.broker.publish('news', Buffer.from('once'));
      await settle(worker);
      expect(worker.seen.texts('news')).toEqual(['once']);
    });

    it('of a channel that is on its way waits for it', async () => {
      const [publisher, worker] = [await start(), await start()];
      const first = worker.subscribe('news');
      await Promise.resolve();
      const second = worker.subscribe('news');
      expect(worker.broker.isConfirmed('news')).toBe(false);
      expect(await second).toBe('confirmed');
      await publisher.broker.publish('news', Buffer.from('x'));
      await settle(worker, publisher.broker);
      expect(worker.seen.texts('news')).toEqual(['x']);
      expect(await first).toBe('confirmed');
    });

    it('takes thousands of channels at once', async () => {
      const worker = await start();
      const names = Array.from({ length: 5_000 }, (_, index) => `user:${index}`);
      const outcomes = await Promise.all(names.map((name) => worker.subscribe(name)));
      expect(new Set(outcomes)).toEqual(new Set(['confirmed']));
      await Promise.all(names.map((name) => worker.broker.publish(name, Buffer.from('x'))));
      await eventually(() => worker.seen.publications.length === 5_000, { what: 'all 5,000 arrive' });
      expect(new Set(worker.seen.publications.map(({ channel }) => channel)).size).toBe(5_000);
    });
  });

  describe('unsubscribe', () => {
    it('ends delivery at once and for good, while others go on', async () => {
      const [worker, other] = [await start({ unsubscribeLingerMs: 20 }), await start()];
      await worker.subscribe('news');
      await worker.broker.publish('news', Buffer.from('before'));
      await settle(worker);
      worker.unsubscribe('news');
      expect(worker.broker.isConfirmed('news')).toBe(false);
      await other.broker.publish('news', Buffer.from('during'));
      await settle(worker, other.broker);
      await other.subscribe('news');
      await eventually(async () => {
        await other.broker.publish('news', Buffer.from('after'));
        return other.seen.texts('news').length >= 5;
      });
      await settle(worker, other.broker);
      expect(worker.seen.texts('news')).toEqual(['before']);
    });

    it('is taken back at once by a subscribe within the linger', async () => {
      const worker = await start({ unsubscribeLingerMs: 60_000 });
      await worker.subscribe('news');
      worker.unsubscribe('news');
      const subscribed = worker.subscribe('news');
      expect(worker.broker.isConfirmed('news')).toBe(true);
      expect(await subscribed).toBe('confirmed');
      await worker.broker.publish('news', Buffer.from('again'));
      await settle(worker);
      expect(worker.seen.texts('news')).toEqual(['again']);
    });

    it('ends as the last call says through any churn', async () => {
      const worker = await start({ unsubscribeLingerMs: 1 });
      const { broker } = worker;
      for (let round = 0; round < 60; round += 1) {
        const subscribed = Promise.allSettled([worker.subscribe('kept'), worker.subscribe('left')]);
        if (round % 3 === 0) await subscribed;
        worker.unsubscribe('kept');
        worker.unsubscribe('left');
        if (round % 5 === 0) await settle(worker);
      }
      expect(await worker.subscribe('kept')).toBe('confirmed');
      await settle(worker);
      const { length } = worker.seen.publications;
      await broker.publish('kept', Buffer.from('x'));
      await broker.publish('left', Buffer.from('x'));
      await settle(worker);
      expect(worker.seen.publications.slice(length).map(({ channel }) => channel)).toEqual([
        'kept',
        'settle',
      ]);
    });

    it('is nothing for a channel that was never subscribed', async () => {
      const worker = await start();
      worker.unsubscribe('unknown');
      const subscribed = worker.subscribe('unknown');
      expect(worker.broker.isConfirmed('unknown')).toBe(false);
      expect(await subscribed).toBe('confirmed');
    });
  });

  describe('reading', () => {
    it('that is stopped holds publications back, and loses none', async () => {
      const [worker, other] = [await start(), await start()];
      await worker.subscribe('news');
      await worker.broker.publish('news', Buffer.from('before'));
      await settle(worker);
      const { length } = worker.seen.publications;
      worker.broker.setReading(false);
      const expected = Array.from({ length: 300 }, (_, index) => `${index}`);
      for (const text of expected) await other.broker.publish('news', Buffer.from(text));
      await settle(other);
      expect(worker.seen.publications).toHaveLength(length);
      worker.broker.setReading(true);
      await eventually(() => worker.seen.texts('news').length === 301, { what: 'all arrive' });
      expect(worker.seen.texts('news').slice(1)).toEqual(expected);
      expect(worker.seen.gaps).toEqual([]);
    });

    it('can be stopped and resumed at any time, and a broker that does not read can be stopped', async () => {
      const worker = create();
      worker.broker.setReading(false);
      worker.broker.setReading(true);
      await worker.broker.start();
      await settle(worker);
      worker.broker.setReading(false);
      worker.broker.setReading(false);
      const published = worker.broker.publish('news', Buffer.from('x'));
      await worker.broker.stop();
      await published;
      worker.broker.setReading(true);
      worker.broker.setReading(false);
    });
  });

  describe('control messages', () => {
    it('reach every broker, byte by byte', async () => {
      const workers = [await start(), await start()];
      const message = Buffer.from('00ff7b7d', 'hex');
      await contract.control(message);
      for (const { seen } of workers) {
        await eventually(() => seen.controls.length === 1, { what: 'the control message arrives' });
        expect(seen.controls[0]?.equals(message)).toBe(true);
        expect(seen.publications).toEqual([]);
      }
    });
  });

  describe('control', () => {
    it('reaches every broker, the one that sends included, and leaves the bytes to the caller', async () => {
      const workers = [await start(), await start()] as const;
      const message = new Uint8Array([0, 255, 1]);
      const sent = workers[0].broker.control(message);
      message.fill(9);
      await sent;
      for (const { seen } of workers) {
        await eventually(() => seen.controls.length === 1, { what: 'the control message arrives' });
        expect(seen.controls[0]?.toString('hex')).toBe('00ff01');
      }
    });

    it('is in order with publishes of the same broker', async () => {
      const worker = await start();
      await worker.subscribe('news');
      const published = worker.broker.publish('news', Buffer.from('first'));
      await worker.broker.control(Buffer.from('second'));
      await published;
      await eventually(() => worker.seen.controls.length === 1, { what: 'the control message arrives' });
      expect(worker.seen.texts('news')).toEqual(['first']);
    });

    it('fails before start and after stop', async () => {
      const { broker } = create();
      await expect(broker.control(Buffer.alloc(0))).rejects.toMatchObject({
        code: 'BROKER_UNAVAILABLE',
        message: expect.stringContaining('Publishing to every worker failed, nothing was sent: '),
      });
      await broker.stop();
      await expect(broker.control(Buffer.alloc(0))).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
    });
  });

  describeMarks({ create, start });

  describe('life', () => {
    it('goes from connecting to ready to stopped, with a sentence for each', async () => {
      const { broker, seen } = create();
      expect(broker.state).toBe('connecting');
      expect(broker.stateReason).toMatch(/^[A-Z].*\.$/);
      await Promise.all([broker.start(), broker.start()]);
      expect(broker.state).toBe('ready');
      await broker.stop();
      expect(seen.states).toEqual(['ready', 'stopped']);
      for (const reason of seen.reasons) expect(reason).toMatch(/^[A-Z].*\.$/);
      expect(seen.gaps).toEqual([]);
    });

    it('answers a subscribe before start with a gap, and subscribes when it is ready', async () => {
      const worker = create();
      expect(await worker.subscribe('early')).toBe('gap');
      await worker.broker.start();
      await eventually(() => worker.broker.isConfirmed('early'), { what: 'the channel is subscribed' });
      await worker.broker.publish('early', Buffer.from('x'));
      await settle(worker);
      expect(worker.seen.texts('early')).toEqual(['x']);
    });

    it('fails to publish before start', async () => {
      const { broker } = create();
      await expect(broker.publish('news', Buffer.from('x'))).rejects.toMatchObject({
        code: 'BROKER_UNAVAILABLE',
      });
    });

    it('can be stopped twice, before it was started, and while it starts', async () => {
      const { broker, seen } = await start();
      await Promise.all([broker.stop(), broker.stop()]);
      await broker.stop();
      expect(seen.states).toEqual(['ready', 'stopped']);
      await create().broker.stop();
      const starting = create();
      const started = starting.broker.start();
      await starting.broker.stop();
      await started;
      expect(starting.broker.state).toBe('stopped');
    });

    it('refuses to publish and to subscribe after stop, and delivers nothing', async () => {
      const [worker, other] = [await start(), await start()];
      await worker.subscribe('news');
      await worker.broker.stop();
      await expect(worker.broker.publish('news', Buffer.from('x'))).rejects.toMatchObject({
        code: 'BROKER_UNAVAILABLE',
      });
      await expect(worker.subscribe('news')).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
      expect(worker.broker.isConfirmed('news')).toBe(false);
      worker.unsubscribe('news');
      await other.broker.publish('news', Buffer.from('x'));
      await settle(other);
      expect(worker.seen.publications).toEqual([]);
    });

    it('rejects a subscribe that is under way when it stops', async () => {
      const worker = await start();
      const { broker } = worker;
      const subscribed = worker.subscribe('news');
      const stopped = broker.stop();
      await expect(subscribed).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
      await stopped;
    });

    it('delivers what was published just before it stops', async () => {
      const [worker, other] = [await start(), await start()];
      await other.subscribe('last words');
      const published = worker.broker.publish('last words', Buffer.from('bye'));
      await worker.broker.stop();
      await published;
      await settle(other);
      expect(other.seen.texts('last words')).toEqual(['bye']);
    });
  });
}
