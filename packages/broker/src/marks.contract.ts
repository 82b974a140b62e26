import { eventually, seededRandom, testSeed } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import type { Broker } from './broker.ts';
import { settle, type BrokerMaker, type TestBroker } from './broker.contract.ts';

const CHANNELS = ['c0', 'c1', 'c2', 'c3'];

async function hears({ seen }: TestBroker, id: number): Promise<void> {
  await eventually(() => seen.marks.some((mark) => mark.id === id), { what: `mark ${id} is heard` });
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** What arrived, without what {@link settle} sends. */
function arrivals({ seen }: TestBroker): string[] {
  return seen.arrivals.filter((arrival) => !arrival.startsWith('settle '));
}

/** What arrived up to a mark. */
function before(worker: TestBroker, id: number): string[] {
  const at = arrivals(worker).indexOf(`mark ${id}`);
  expect(at).not.toBe(-1);
  return arrivals(worker).slice(0, at);
}

/** One client that is moved to and fro between two workers, and what it has been given. */
class MovedClient {
  readonly mistakes: string[] = [];
  deliveryCount = 0;
  /** The last number of each publisher in each channel. */
  readonly #last = new Map<string, number>();

  /** `arrival`: `channel publisher:number`. */
  deliver(arrival: string): void {
    const [line = '', number = ''] = arrival.split(':');
    const expected = (this.#last.get(line) ?? 0) + 1;
    if (Number(number) !== expected) this.mistakes.push(`${line}: ${number} instead of ${expected}`);
    this.#last.set(line, Number(number));
    this.deliveryCount += 1;
  }
}

/** Publishes numbers to channels at random, as fast as it is answered, until it is told to stop. */
async function publishAll(broker: Broker, name: string, seed: number, isOver: () => boolean): Promise<void> {
  const random = seededRandom(seed);
  const numbers = CHANNELS.map(() => 0);
  while (!isOver()) {
    const burst: Promise<unknown>[] = [];
    for (let index = random(8); index >= 0; index -= 1) {
      const channel = random(CHANNELS.length);
      const number = (numbers[channel] ?? 0) + 1;
      numbers[channel] = number;
      burst.push(broker.publish(`c${channel}`, Buffer.from(`${name}:${number}`)));
    }
    await Promise.all(burst);
  }
}

/** What every broker does with marks. Call it inside a `describe`. */
export function describeMarks({ create, start }: BrokerMaker): void {
  describe('marks', () => {
    it('stand where they were sent among publications and control messages, for all who hear them', async () => {
      const workers = [await start(), await start()] as const;
      const [sender, other] = workers;
      for (const worker of workers) for (const channel of CHANNELS) await worker.subscribe(channel);
      await sender.broker.watchMarks(other.broker.markAddress);
      const sent: Promise<unknown>[] = [];
      const expected: string[] = [];
      for (let index = 0; index < 100; index += 1) {
        const channel = `c${index % 4}`;
        sent.push(sender.broker.publish(channel, Buffer.from(`${index}`)));
        sent.push(sender.broker.mark(other.broker.markAddress, index));
        expected.push(`${channel} ${index}`, `mark ${index}`);
        if (index % 10 > 0) continue;
        sent.push(sender.broker.control(Buffer.from(`${index}`)));
        expected.push(`control ${index}`);
      }
      await Promise.all(sent);
      for (const worker of workers) {
        await settle(worker, sender.broker);
        expect(arrivals(worker)).toEqual(expected);
        expect(new Set(worker.seen.marks.map(({ address }) => address))).toEqual(
          new Set([other.broker.markAddress]),
        );
      }
    });

    it('divide what anybody publishes at the same place for both', async () => {
      const [sender, other, publisher] = [await start(), await start(), await start()];
      const workers = [sender, other];
      for (const worker of workers) for (const channel of CHANNELS) await worker.subscribe(channel);
      await sender.broker.watchMarks(other.broker.markAddress);
      let isOver = false;
      const publishing = ['p', 'q'].map((name, seed) =>
        publishAll(publisher.broker, name, seed, () => isOver),
      );
      for (let id = 0; id < 20; id += 1) {
        await sender.broker.mark(other.broker.markAddress, id);
        for (const worker of workers) await hears(worker, id);
      }
      isOver = true;
      await Promise.all(publishing);
      for (const worker of workers) await settle(worker, publisher.broker);
      expect(arrivals(sender).length).toBeGreaterThan(100);
      expect(arrivals(sender)).toEqual(arrivals(other));
    });

    it('come behind last events that were published before', async () => {
      const [sender, other] = [await start(), await start()];
      for (const worker of [sender, other]) await worker.subscribe('c0');
      await sender.broker.watchMarks(other.broker.markAddress);
      // More than are under way at once, so that some wait.
      const sent = Array.from({ length: 400 }, (_, index) =>
        sender.broker.store.publishLast('c0', Buffer.from(`${index}`), {}, 1_000),
      );
      await sender.broker.mark(other.broker.markAddress, 1);
      await Promise.all(sent);
      for (const worker of [sender, other]) {
        await hears(worker, 1);
        expect(before(worker, 1)).toHaveLength(400);
      }
    });

    it('are the cut at which a client moves: it is given everything once and in order', async () => {
      const seed = testSeed();
      const random = seededRandom(seed);
      let [from, to] = [await start({ unsubscribeLingerMs: 1 }), await start({ unsubscribeLingerMs: 1 })];
      const workers = [from, to];
      const publishers = await Promise.all([start(), start(), start()]);
      for (const channel of CHANNELS) await from.subscribe(channel);
      let isOver = false;
      const publishing = publishers.map(({ broker }, index) =>
        publishAll(broker, `p${index}`, seed + index, () => isOver),
      );
      const client = new MovedClient();
      let own = 0;
      const publishAs = ({ broker }: TestBroker): Promise<unknown> =>
        broker.publish('c0', Buffer.from(`client:${++own}`));
      for (let id = 1; id <= 50; id += 1) {
        const [source, target] = [from, to];
        for (const channel of CHANNELS) await target.subscribe(channel);
        const unwatch = await source.broker.watchMarks(target.broker.markAddress);
        const { epoch } = target.broker;
        const sent: Promise<unknown>[] = [];
        for (let count = 0; count < 5; count += 1) sent.push(publishAs(source));
        // Either may be behind with reading, for as long as it likes.
        for (const worker of workers) if (random(2) === 0) worker.broker.setReading(false);
        sent.push(source.broker.mark(target.broker.markAddress, id));
        for (const worker of random(2) === 0 ? workers : workers.toReversed()) {
          for (let turns = random(20); turns > 0; turns -= 1) await turn();
          worker.broker.setReading(true);
        }
        await hears(source, id);
        await hears(target, id);
        for (const arrival of before(source, id)) client.deliver(arrival);
        for (const channel of CHANNELS) source.unsubscribe(channel);
        unwatch();
        source.seen.arrivals.length = 0;
        target.seen.arrivals.splice(0, target.seen.arrivals.indexOf(`mark ${id}`) + 1);
        sent.push(publishAs(target));
        await Promise.all(sent);
        expect(target.seen.marks.at(-1)).toMatchObject({ id, epoch });
        [from, to] = [to, from];
      }
      isOver = true;
      await Promise.all(publishing);
      for (const { broker } of [...publishers, ...workers]) await settle(from, broker);
      for (const arrival of arrivals(from)) client.deliver(arrival);
      expect(client.mistakes).toEqual([]);
      expect(client.deliveryCount).toBeGreaterThan(500);
    });

    it('are heard by nobody else, and not any more by who has stopped to watch', async () => {
      const [one, other, third] = [await start(), await start(), await start()];
      const { markAddress } = other.broker;
      const unwatchFirst = await one.broker.watchMarks(markAddress);
      const unwatch = await one.broker.watchMarks(markAddress);
      unwatchFirst();
      unwatchFirst();
      await one.broker.mark(markAddress, 1);
      for (const worker of [one, other]) await hears(worker, 1);
      unwatch();
      await one.broker.mark(markAddress, 2);
      await hears(other, 2);
      for (const worker of [one, third]) await settle(worker, one.broker);
      expect(one.seen.marks.map(({ id }) => id)).toEqual([1]);
      expect(third.seen.marks).toEqual([]);
    });

    it('may have any id up to 2^53 - 1, and no other', async () => {
      const { broker, seen } = await start();
      const ids = [0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER];
      for (const id of ids) await broker.mark(broker.markAddress, id);
      await eventually(() => seen.marks.length === ids.length, { what: 'all are heard' });
      expect(seen.marks.map(({ id }) => id)).toEqual(ids);
      for (const id of [-1, 0.5, 2 ** 53, Number.NaN]) {
        await expect(broker.mark(broker.markAddress, id)).rejects.toThrow('an integer from 0 to 2^53 - 1');
      }
    });

    it('go only to addresses of the same kind of broker', async () => {
      const { broker } = await start();
      for (const address of ['', 'c0', 'elsewhere:mark:1', 'roost:control']) {
        const expected = { code: 'BROKER_INVALID_CHANNEL' };
        await expect(broker.mark(address, 1)).rejects.toMatchObject(expected);
        await expect(broker.watchMarks(address)).rejects.toMatchObject(expected);
      }
    });

    it('are one order for brokers with the same server, which is known while they are ready', async () => {
      const workers = [await start(), await start()] as const;
      for (const { broker } of workers) {
        await eventually(() => broker.server !== undefined, { what: 'the server is known' });
      }
      const [one, other] = workers;
      expect(one.broker.server).toMatch(/^(?:[0-9a-f]{40}|memory:[0-9a-f-]{36})$/);
      expect(other.broker.server).toBe(one.broker.server);
      expect(other.broker.markAddress).not.toBe(one.broker.markAddress);
      await one.broker.stop();
      expect(one.broker.server).toBeUndefined();
    });

    it('are not sent or watched before start and after stop', async () => {
      const { broker } = create();
      const other = await start();
      const expected = { code: 'BROKER_UNAVAILABLE' };
      const { markAddress } = other.broker;
      for (let round = 0; round < 2; round += 1) {
        expect(broker.server).toBeUndefined();
        await expect(broker.mark(markAddress, 1)).rejects.toMatchObject(expected);
        await expect(broker.watchMarks(markAddress)).rejects.toMatchObject(expected);
        await broker.stop();
      }
    });
  });
}
