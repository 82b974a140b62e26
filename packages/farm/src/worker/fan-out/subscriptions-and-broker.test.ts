import { Arena, BrokerError, type SubscribeOutcome } from '@roost/broker';
import { beforeEach, describe, expect, it } from 'vitest';
import { Counters } from '../../api/counters.ts';
import { PendingWork } from '../rows/pending-work.ts';
import { ConnectionTable, RowFlag } from '../rows/connection-table.ts';
import { Hub } from './hub.ts';
import { Subscriptions, type SubscriptionsDependents } from './subscriptions.ts';

/** App 1 has a close hook, app 0 has none. */
const APPS = { hasCloseHook: (app: number): boolean => app === 1 };
const LIMITS = { maxSubscriptionsPerConnection: 3, maxChannelBytes: 8 };

/** A broker that notes what it is asked, and whether the hub has the channel at that moment. It answers when it is told to. */
class FakeBroker {
  readonly asked: string[] = [];
  readonly published: (readonly [channel: string, payload: string])[] = [];
  readonly confirmed = new Set<string>();
  readonly store = {
    publishLast: (channel: string, payload: Uint8Array, _attributes: unknown, keepMs: number) => {
      this.kept.push([channel, Buffer.from(payload).toString(), keepMs]);
      return Promise.resolve({});
    },
  };
  readonly kept: (readonly [channel: string, payload: string, keepMs: number])[] = [];
  publishError: Error | undefined;
  readonly #hub: Hub;
  readonly #waiting: { channel: string; settle: (outcome: SubscribeOutcome | Error) => void }[] = [];

  constructor(hub: Hub) {
    this.#hub = hub;
  }

  isConfirmed(channel: string): boolean {
    return this.confirmed.has(channel);
  }

  subscribe(channel: string): Promise<SubscribeOutcome> {
    this.#note('subscribe', channel);
    return new Promise((resolve, reject) => {
      const settle = (outcome: SubscribeOutcome | Error): void => {
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      };
      this.#waiting.push({ channel, settle });
    });
  }

  unsubscribe(channel: string): void {
    this.#note('unsubscribe', channel);
  }

  async publish(channel: string, payload: Uint8Array): Promise<object> {
    if (this.publishError !== undefined) throw this.publishError;
    this.published.push([channel, Buffer.from(payload).toString('hex')]);
    return {};
  }

  /** Answers all that wait for a channel. */
  answer(channel: string, outcome: SubscribeOutcome | Error): void {
    for (const waiting of this.#waiting.splice(0)) {
      if (waiting.channel === channel) waiting.settle(outcome);
      else this.#waiting.push(waiting);
    }
  }

  #note(what: string, channel: string): void {
    this.asked.push(`${what} ${channel}, ${this.#hub.has(channel) ? 'wanted' : 'not wanted'}`);
  }
}

const LATE = new BrokerError('BROKER_SUBSCRIBE_TIMEOUT', 'not in time');

/** What depends on subscriptions has been told. */
const dependents: string[] = [];
const DEPENDENTS: SubscriptionsDependents = {
  memberships: {
    leave: (of, channel) => void dependents.push(`leave ${of} ${channel}`),
    leaveAll: (of) => void dependents.push(`leave all ${of}`),
  },
  occupancy: {
    counts: () => true,
    joined: (of, channel) => void dependents.push(`joined ${of} ${channel}`),
    left: (of, channel) => void dependents.push(`left ${of} ${channel}`),
  },
  knowledge: { forget: (channel) => void dependents.push(`forget ${channel}`) },
  joins: {
    cancel: (of, channel) => {
      dependents.push(`cancel ${of} ${channel}`);
      return false;
    },
  },
};

let table: ConnectionTable;
let counters: Counters;
let hub: Hub;
let broker: FakeBroker;
let subscriptions: Subscriptions;
let slot: number;
let other: number;

beforeEach(() => {
  table = new ConnectionTable(8);
  counters = new Counters();
  hub = new Hub(table.firstSubscriptions, new Arena());
  broker = new FakeBroker(hub);
  subscriptions = new Subscriptions({
    config: LIMITS,
    table,
    counters,
    hub,
    broker,
    apps: APPS,
    pendingWork: new PendingWork(table),
  });
  dependents.length = 0;
  subscriptions.connect(DEPENDENTS);
  slot = openRow();
  other = openRow();
});

function openRow(): number {
  return table.allocate(20, 1, new Uint8Array(16), 0);
}

/** The row ends, and its slot is given to another connection. */
function replace(ended: number): void {
  subscriptions.release(ended);
  table.release(ended);
  table.settle();
  expect(openRow()).toBe(ended);
}

/** The row is subscribed to a channel that the broker has confirmed. */
function joined(of: number, ...channels: readonly string[]): void {
  for (const channel of channels) broker.confirmed.add(channel);
  subscriptions.join(of, channels);
}

function hasGap(of: number): boolean {
  return table.hasFlag(of, RowFlag.gap);
}

describe('subscribe', () => {
  it('asks the broker just before the hub has the channel, and answers when it is confirmed', async () => {
    const subscribed = subscriptions.subscribe(slot, 'news');
    expect(broker.asked).toEqual(['subscribe news, not wanted']);
    expect(subscriptions.channelsOf(slot)).toEqual(['news']);
    broker.answer('news', 'confirmed');
    expect(await subscribed).toBe(true);
    expect(hasGap(slot)).toBe(false);
  });

  it('asks nobody about a channel that arrives already', async () => {
    joined(other, 'news');
    expect(await subscriptions.subscribe(slot, 'news')).toBe(true);
    expect(broker.asked).toEqual([]);
    expect([...subscriptions.subscribersOf('news')]).toEqual([other, slot]);
  });

  it('waits for a channel that is on its way for somebody else', async () => {
    const outcomes: boolean[] = [];
    const all = [slot, other].map(async (of) => outcomes.push(await subscriptions.subscribe(of, 'news')));
    expect(broker.asked).toEqual(['subscribe news, not wanted', 'subscribe news, wanted']);
    broker.answer('news', 'confirmed');
    await Promise.all(all);
    expect(outcomes).toEqual([true, true]);
  });

  it('is true with a gap, counted once for the connection, while the broker is away', async () => {
    for (const channel of ['news', 'chat']) {
      const subscribed = subscriptions.subscribe(slot, channel);
      broker.answer(channel, 'gap');
      expect(await subscribed).toBe(true);
    }
    expect(hasGap(slot)).toBe(true);
    expect(hasGap(other)).toBe(false);
    expect(counters.get('connections_with_gap')).toBe(1);
  });

  it('is false when the connection has unsubscribed meanwhile', async () => {
    const subscribed = subscriptions.subscribe(slot, 'news');
    expect(subscriptions.unsubscribe(slot, 'news')).toBe(true);
    broker.answer('news', 'confirmed');
    expect(await subscribed).toBe(false);
  });

  it('is false when the connection has ended meanwhile, and does nothing to the next owner of its slot', async () => {
    const subscribed = subscriptions.subscribe(slot, 'news');
    replace(slot);
    joined(slot, 'news');
    broker.answer('news', 'gap');
    expect(await subscribed).toBe(false);
    expect(hasGap(slot)).toBe(false);
  });

  it('that the broker does not confirm rejects, and is taken back', async () => {
    const subscribed = subscriptions.subscribe(slot, 'news');
    broker.answer('news', LATE);
    await expect(subscribed).rejects.toBe(LATE);
    expect(subscriptions.channelsOf(slot)).toEqual([]);
    expect(broker.asked.at(-1)).toBe('unsubscribe news, wanted');
    expect(hub.has('news')).toBe(false);
  });

  it('that the broker does not confirm takes back what it has done itself, and nothing else', async () => {
    joined(slot, 'news');
    // As when the broker has lost the channel since.
    broker.confirmed.clear();
    const again = subscriptions.subscribe(slot, 'news');
    const gone = subscriptions.subscribe(other, 'news');
    replace(other);
    joined(other, 'news');
    broker.answer('news', LATE);
    await expect(again).rejects.toBe(LATE);
    await expect(gone).rejects.toBe(LATE);
    expect([...subscriptions.subscribersOf('news')]).toEqual([slot, other]);
  });
});

describe('the limits of a connection', () => {
  it('let it have maxSubscriptionsPerConnection channels, each as often as it likes', async () => {
    joined(slot, 'a', 'b', 'c');
    expect(await subscriptions.subscribe(slot, 'b')).toBe(true);
    await expect(subscriptions.subscribe(slot, 'd')).rejects.toMatchObject({
      code: 'FARM_ERR_TOO_MANY_SUBSCRIPTIONS',
      message: expect.stringContaining('may have 3 channels'),
    });
    expect(broker.asked).toEqual([]);
    expect(subscriptions.channelsOf(slot)).toEqual(['a', 'b', 'c']);
    subscriptions.unsubscribe(slot, 'a');
    const subscribed = subscriptions.subscribe(slot, 'd');
    broker.answer('d', 'confirmed');
    expect(await subscribed).toBe(true);
  });

  it.each([
    ['', 'A channel name must not be empty.'],
    ['a\nb', 'A channel name must not contain control characters.'],
    ['123456789', 'A channel name must have at most 8 bytes of UTF-8, got 9.'],
  ])('refuse the name %j before anybody is asked', async (name, message) => {
    const refusal = { code: 'FARM_ERR_CHANNEL_NAME', message };
    await expect(subscriptions.subscribe(slot, name)).rejects.toMatchObject(refusal);
    await expect(subscriptions.publish(name, 'text')).rejects.toMatchObject(refusal);
    expect(broker.asked).toEqual([]);
    expect(broker.published).toEqual([]);
    expect(hub.channelCount).toBe(0);
  });

  it('are told before an upgrade: how many there are, and what is wrong with the first bad one', () => {
    expect(subscriptions.problem(['a', 'b', 'c'])).toBeUndefined();
    expect(subscriptions.problem(['a', 'b', 'c', 'd'])).toBe('at most 3 channels per connection, got 4');
    expect(subscriptions.problem(['a', '', '123456789'])).toBe('a channel name must not be empty');
  });
});

describe('the broker is told that a channel is not wanted any more', () => {
  it('when its last subscriber unsubscribes, just before the hub forgets it', () => {
    joined(slot, 'news');
    joined(other, 'news');
    expect(subscriptions.unsubscribe(slot, 'news')).toBe(true);
    expect(broker.asked).toEqual([]);
    expect(subscriptions.unsubscribe(other, 'news')).toBe(true);
    expect(broker.asked).toEqual(['unsubscribe news, wanted']);
    expect(hub.has('news')).toBe(false);
    expect(subscriptions.unsubscribe(other, 'news')).toBe(false);
    expect(broker.asked).toHaveLength(1);
  });

  it.each([
    ['begins to close', () => subscriptions.leave(slot)],
    ['ends', () => subscriptions.release(slot)],
  ])('when its last subscriber %s', (_how, go) => {
    joined(slot, 'news', 'chat');
    joined(other, 'chat');
    go();
    expect(broker.asked).toEqual(['unsubscribe news, wanted']);
    expect(subscriptions.count).toBe(1);
  });

  it('once, when the row that has left its channels ends', () => {
    joined(slot, 'news');
    subscriptions.leave(slot);
    subscriptions.leave(slot);
    subscriptions.release(slot);
    expect(broker.asked).toHaveLength(1);
  });
});

describe('channels that are reserved', () => {
  it('are asked for before the hub has them, and stay wanted without a subscriber', async () => {
    const reserved = subscriptions.reserve(['news', 'chat']);
    expect(broker.asked).toEqual(['subscribe news, not wanted', 'subscribe chat, not wanted']);
    broker.answer('news', 'confirmed');
    broker.answer('chat', 'confirmed');
    expect(await reserved).toBe(true);
    expect([hub.has('news'), subscriptions.count]).toEqual([true, 0]);
    subscriptions.unreserve(['news', 'chat']);
    expect(broker.asked.slice(2)).toEqual(['unsubscribe news, wanted', 'unsubscribe chat, wanted']);
    expect(hub.channelCount).toBe(0);
  });

  it('are told to be incomplete when the broker is away for one of them', async () => {
    const reserved = subscriptions.reserve(['news', 'chat']);
    broker.answer('news', 'gap');
    broker.answer('chat', 'confirmed');
    expect(await reserved).toBe(false);
    expect(hub.has('chat')).toBe(true);
  });

  it('are kept for whoever joins them, after the reservation, too', async () => {
    const reserved = subscriptions.reserve(['news']);
    broker.answer('news', 'confirmed');
    await reserved;
    subscriptions.join(slot, ['news']);
    subscriptions.unreserve(['news']);
    expect(broker.asked).toHaveLength(1);
    subscriptions.release(slot);
    expect(broker.asked.at(-1)).toBe('unsubscribe news, wanted');
  });

  it('stay wanted when their last subscriber leaves, until they are given back', () => {
    joined(slot, 'news');
    void subscriptions.reserve(['news']);
    subscriptions.release(slot);
    expect(broker.asked).toEqual(['subscribe news, wanted']);
    subscriptions.unreserve(['news']);
    expect(broker.asked.at(-1)).toBe('unsubscribe news, wanted');
  });

  it('are all given back when one of them is not confirmed', async () => {
    const reserved = subscriptions.reserve(['news', 'chat', 'news']);
    broker.answer('chat', LATE);
    await expect(reserved).rejects.toBe(LATE);
    expect(hub.channelCount).toBe(0);
    expect(broker.asked.slice(3).toSorted()).toEqual([
      'unsubscribe chat, wanted',
      'unsubscribe news, wanted',
    ]);
    // What the others come to reaches nobody.
    broker.answer('news', LATE);
  });

  it('need not be, when all of them arrive already', () => {
    joined(other, 'news');
    expect(subscriptions.areConfirmed([])).toBe(true);
    expect(subscriptions.areConfirmed(['news'])).toBe(true);
    expect(subscriptions.areConfirmed(['news', 'chat'])).toBe(false);
  });
});

describe('a row that leaves its channels', () => {
  it('is no subscriber any more, but its close hook is told what it had', () => {
    table.apps[slot] = 1;
    joined(slot, 'news', 'chat');
    subscriptions.leave(slot);
    expect(subscriptions.channelsOf(slot)).toEqual([]);
    expect(subscriptions.lastChannelsOf(slot)).toEqual(['news', 'chat']);
    expect(subscriptions.count).toBe(0);
  });

  it('is told what it had when it first left, however often it leaves', () => {
    table.apps[slot] = 1;
    joined(slot, 'news');
    subscriptions.leave(slot);
    subscriptions.leave(slot);
    expect(subscriptions.lastChannelsOf(slot)).toEqual(['news']);
  });

  it('leaves nothing behind for an app without a close hook', () => {
    joined(slot, 'news');
    subscriptions.leave(slot);
    expect(subscriptions.lastChannelsOf(slot)).toEqual([]);
  });

  it('leaves nothing to the next owner of its slot', () => {
    table.apps[slot] = 1;
    joined(slot, 'news');
    subscriptions.leave(slot);
    replace(slot);
    expect(subscriptions.lastChannelsOf(slot)).toEqual([]);
  });

  it('has them until then', () => {
    joined(slot, 'news');
    expect(subscriptions.lastChannelsOf(slot)).toEqual(['news']);
  });
});

describe('a gap', () => {
  it('of one channel is of its subscribers', () => {
    joined(slot, 'news', 'chat');
    joined(other, 'chat');
    subscriptions.markGapOf('news');
    subscriptions.markGapOf('nobody');
    expect([slot, other].map((of) => hasGap(of))).toEqual([true, false]);
  });

  it('of the broker is of all connections that have channels, once each', () => {
    joined(slot, 'news');
    joined(other, 'chat');
    const without = openRow();
    subscriptions.markGapOf('news');
    subscriptions.markGaps();
    subscriptions.markGaps();
    expect([slot, other, without].map((of) => hasGap(of))).toEqual([true, true, false]);
    expect(counters.get('connections_with_gap')).toBe(2);
  });
});

describe('publish', () => {
  it('gives the broker the bytes of a text, and bytes as they are', async () => {
    await subscriptions.publish('news', 'ä');
    await subscriptions.publish('news', Buffer.from('ff', 'hex'));
    expect(broker.published).toEqual([
      ['news', 'c3a4'],
      ['news', 'ff'],
    ]);
  });

  it.each([
    [new BrokerError('BROKER_UNAVAILABLE', 'away'), 1],
    [new TypeError('a bug'), 0],
  ])('rejects as the broker does: %s is counted %i times as an error of it', async (error, count) => {
    broker.publishError = error;
    await expect(subscriptions.publish('news', 'text')).rejects.toBe(error);
    expect(counters.get('publish_errors')).toBe(count);
  });

  it('is no unhandled rejection when nobody waits for it', async () => {
    const unhandled: unknown[] = [];
    const listener = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', listener);
    void subscriptions.publish('', 'text');
    // Such rejections are reported when the microtasks are done.
    await new Promise((resolve) => void setImmediate(resolve));
    process.off('unhandledRejection', listener);
    expect(unhandled).toEqual([]);
  });
});

describe('what depends on subscriptions', () => {
  it('is told of each that begins and ends, once', async () => {
    joined(slot, 'a', 'b');
    joined(other, 'b');
    await subscriptions.subscribe(slot, 'b');
    expect(dependents).toEqual([`joined ${slot} a`, `joined ${slot} b`, `joined ${other} b`]);
    dependents.length = 0;
    subscriptions.unsubscribe(slot, 'a');
    subscriptions.unsubscribe(slot, 'never');
    expect(dependents).toEqual([
      `cancel ${slot} a`,
      `leave ${slot} a`,
      'forget a',
      `left ${slot} a`,
      `cancel ${slot} never`,
      `leave ${slot} never`,
    ]);
    dependents.length = 0;
    subscriptions.leave(slot);
    subscriptions.release(slot);
    expect(dependents).toEqual([`leave all ${slot}`, `left ${slot} b`]);
    dependents.length = 0;
    subscriptions.release(other);
    expect(dependents).toEqual([`leave all ${other}`, 'forget b', `left ${other} b`]);
  });

  it('keeps a publication as the last event where that is asked for', async () => {
    await subscriptions.publish('a', 'text', { keepMs: 5 });
    expect(broker.kept).toEqual([['a', 'text', 5]]);
    expect(broker.published).toEqual([]);
  });
});
