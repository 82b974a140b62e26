import { eventually } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Broker } from '../broker.ts';
import { Recorder, settle } from '../broker.contract.ts';
import { describeChannelStoreContract, StoreWorker } from '../channel-store.contract.ts';
import type { ChannelStoreOptions } from '../channel-store.ts';
import { MemoryBrokerExchange } from './exchange.ts';
import { InProcessLink } from './in-process-link.ts';
import { MemoryBroker } from './memory-broker.ts';

let exchange: MemoryBrokerExchange | undefined;
let links: Map<Broker, InProcessLink>;

beforeEach(() => {
  exchange = undefined;
  links = new Map();
});

afterEach(() => {
  exchange?.stop();
  for (const link of links.values()) link.close();
});

/** What is recorded is known to the exchange, which is made with the first broker. */
function exchangeOf(options: ChannelStoreOptions = {}): MemoryBrokerExchange {
  exchange ??= new MemoryBrokerExchange(undefined, options);
  return exchange;
}

interface LinkedWorker extends StoreWorker {
  readonly link: InProcessLink;
}

async function start(options: { maxBytes?: number; publishTimeoutMs?: number } = {}): Promise<LinkedWorker> {
  const { maxBytes = 16 * 1024 * 1024, ...brokerOptions } = options;
  const seen = new Recorder();
  const link: InProcessLink = new InProcessLink(exchangeOf(), {
    workerId: links.size,
    maxBytes,
    onMessage: (message) => broker.onMessage(message),
  });
  const broker = new MemoryBroker({ handlers: seen, wanted: seen.wanted, link, ...brokerOptions });
  links.set(broker, link);
  await broker.start();
  return Object.assign(new StoreWorker(broker, seen), { link });
}

describe('the store of the embedded broker', () => {
  describeChannelStoreContract({
    create: (seen, options) => {
      const link: InProcessLink = new InProcessLink(exchangeOf(options), {
        workerId: links.size,
        onMessage: (message) => broker.onMessage(message),
      });
      const broker = new MemoryBroker({ handlers: seen, wanted: seen.wanted, link, channelStore: options });
      links.set(broker, link);
      return broker;
    },
    end: async (broker) => {
      await broker.stop();
      links.get(broker)?.close();
    },
    kill: (broker) => {
      links.get(broker)?.close();
      return Promise.resolve();
    },
    consume: () => exchangeOf().consumeEvents(),
  });
});

describe('a link between a worker and the state of channels', () => {
  it('that is full refuses joins, loses no leave and no count', async () => {
    const [worker, seeing] = [await start({ maxBytes: 4_000 }), await start()];
    await seeing.subscribe('room');
    await worker.join('room', 'ada');
    const joins = Array.from({ length: 20 }, (_, index) => worker.join('room', `user ${index}`));
    worker.store.leave('room', 'ada');
    worker.store.setSubscribers('room', 3, { tellsCount: false });
    const outcomes = await Promise.allSettled(joins);
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(10);
    for (const outcome of refused) {
      expect(outcome).toMatchObject({ reason: { code: 'BROKER_OVERLOADED' } });
    }
    await eventually(async () => {
      expect((await seeing.read('room')).memberCount).toBe(20 - refused.length);
      expect(await seeing.store.counts(['room'])).toMatchObject([{ subscribers: 3 }]);
    });
    await settle(seeing);
    expect(seeing.changes('room')).toContain('-ada');
  });

  it('over which no answer comes in time leaves joins unknown, and they are taken back', async () => {
    const [worker, seeing] = [await start({ publishTimeoutMs: 30 }), await start()];
    await seeing.subscribe('room');
    worker.link.setReading(false);
    await expect(worker.join('room', 'ada')).rejects.toMatchObject({ code: 'BROKER_OUTCOME_UNKNOWN' });
    await settle(seeing);
    worker.link.setReading(true);
    await eventually(async () => expect(await seeing.users('room')).toEqual([]));
    await settle(seeing);
    expect(seeing.changes('room')).toEqual(['+ada', '-ada']);
    await worker.join('room', 'ada');
    expect(await seeing.users('room')).toEqual(['ada']);
  });

  it('that a worker does not read brings it every answer in the end', async () => {
    const [worker, seeing] = [await start({ maxBytes: 8_000 }), await start()];
    await worker.subscribe('room');
    worker.link.setReading(false);
    const joins = [worker.join('room', 'ada'), worker.join('room', 'bob')];
    for (let index = 0; index < 50; index += 1) await seeing.join('room', `user ${index}`);
    joins.push(worker.join('room', 'eve'));
    await settle(seeing);
    worker.link.setReading(true);
    const results = await Promise.all(joins);
    expect(results.map(({ outcome }) => outcome)).toEqual(['joined', 'joined', 'joined']);
    await eventually(() => worker.seen.gaps.length > 0, { what: 'it is told what it has missed' });
    expect((await worker.read('room')).memberCount).toBe(53);
  });

  it('that ends with its worker rejects what is under way', async () => {
    const worker = await start();
    const joined = worker.join('room', 'ada');
    await worker.broker.stop();
    await expect(joined).rejects.toMatchObject({ code: 'BROKER_OUTCOME_UNKNOWN' });
    await expect(worker.store.counts(['room'])).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
    worker.store.leave('room', 'ada');
    worker.store.setSubscribers('room', 1, { tellsCount: false });
  });
});
