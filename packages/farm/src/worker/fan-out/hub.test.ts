import { Arena } from '@roost/broker';
import { liveBytes, seededRandom, testSeed } from '@roost/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import type { HubChannel } from './hub-channel.ts';
import { Hub } from './hub.ts';

let hub: Hub;
let firstSubscriptions: Int32Array;
let emptied: string[];

beforeEach(() => {
  emptied = [];
  firstSubscriptions = new Int32Array(1000);
  hub = new Hub(firstSubscriptions, new Arena());
  hub.connect((channel) => emptied.push(channel));
});

/** The members that count, holes included. */
function members(channel: string): number[] {
  const found = hub.open(channel);
  return found === undefined ? [] : [...hub.membersOf(found).subarray(0, found.length)];
}

function channelOf(name: string): HubChannel {
  const channel = hub.open(name);
  if (channel === undefined) expect.unreachable();
  return channel;
}

describe('subscribe', () => {
  it('adds a slot once', () => {
    expect(hub.subscribe(7, 'a')).toBe(true);
    expect(hub.subscribe(7, 'a')).toBe(false);
    expect(members('a')).toEqual([7]);
    expect(hub.isSubscribed(7, 'a')).toBe(true);
    expect(hub.isSubscribed(8, 'a')).toBe(false);
    expect(hub.isSubscribed(7, 'b')).toBe(false);
    expect(hub.subscriptionCount).toBe(1);
  });

  it('keeps the channels of a connection in their order', () => {
    for (const channel of ['b', 'a', 'c']) hub.subscribe(3, channel);
    expect(hub.subscriptionsOf(3)).toEqual(['b', 'a', 'c']);
    expect(hub.countOf(3, 10)).toBe(3);
    expect(hub.countOf(3, 2)).toBe(2);
    expect(hub.countOf(4, 10)).toBe(0);
  });
});

describe('unsubscribe', () => {
  it('moves the last member into the gap, so that members stay dense', () => {
    for (const slot of [1, 2, 3, 4]) hub.subscribe(slot, 'a');
    expect(hub.unsubscribe(2, 'a')).toBe(true);
    expect(hub.unsubscribe(2, 'a')).toBe(false);
    expect(members('a')).toEqual([1, 4, 3]);
    expect(hub.unsubscribe(4, 'a')).toBe(true);
    expect(members('a')).toEqual([1, 3]);
    expect(hub.unsubscribe(9, 'nothing')).toBe(false);
  });

  it('of the first, a middle and the last channel leaves the others', () => {
    for (const channel of ['a', 'b', 'c', 'd']) hub.subscribe(5, channel);
    hub.unsubscribe(5, 'b');
    expect(hub.subscriptionsOf(5)).toEqual(['a', 'c', 'd']);
    hub.unsubscribe(5, 'd');
    hub.unsubscribe(5, 'a');
    expect(hub.subscriptionsOf(5)).toEqual(['c']);
  });

  it('of everything leaves nothing', () => {
    for (const channel of ['a', 'b']) for (const slot of [1, 2]) hub.subscribe(slot, channel);
    hub.unsubscribeAll(1);
    expect(members('a')).toEqual([2]);
    expect(hub.subscriptionsOf(1)).toEqual([]);
    expect(firstSubscriptions[1]).toBe(0);
    hub.unsubscribeAll(1);
    expect(hub.subscriptionCount).toBe(2);
  });
});

describe('a channel', () => {
  it('is empty when its last subscriber has left, and may come back', () => {
    hub.subscribe(1, 'a');
    hub.subscribe(2, 'a');
    hub.unsubscribe(1, 'a');
    expect(emptied).toEqual([]);
    hub.unsubscribe(2, 'a');
    expect(emptied).toEqual(['a']);
    expect(hub.open('a')).toBeUndefined();
    expect(hub.channelCount).toBe(0);
    hub.subscribe(3, 'a');
    expect(members('a')).toEqual([3]);
  });

  it('is still there while it is reported to be empty', () => {
    const told: [string, boolean][] = [];
    const other = new Hub(new Int32Array(10), new Arena());
    other.connect((channel) => told.push([channel, other.has(channel)]));
    other.subscribe(1, 'a');
    other.subscribe(2, 'b');
    expect([...other.keys()]).toEqual(['a', 'b']);
    other.unsubscribe(1, 'a');
    expect(told).toEqual([['a', true]]);
    expect([...other.keys()]).toEqual(['b']);
  });

  it('that is reserved is not empty', () => {
    hub.reserve('a');
    hub.reserve('a');
    expect(hub.open('a')?.length).toBe(0);
    hub.subscribe(1, 'a');
    hub.unsubscribe(1, 'a');
    hub.unreserve('a');
    expect(emptied).toEqual([]);
    hub.unreserve('a');
    expect(emptied).toEqual(['a']);
    hub.unreserve('a');
    expect(emptied).toEqual(['a']);
  });

  it('of which a reservation ends stays for its subscribers', () => {
    hub.reserve('a');
    hub.subscribe(1, 'a');
    hub.unreserve('a');
    expect(emptied).toEqual([]);
    expect(members('a')).toEqual([1]);
  });
});

describe('a channel that is walked', () => {
  it('keeps its members in their places: who leaves becomes a hole, who comes stands at the end', () => {
    for (const slot of [1, 2, 3, 4]) hub.subscribe(slot, 'a');
    const channel = hub.open('a');
    if (channel === undefined) expect.unreachable();
    hub.beginWalk(channel);
    hub.unsubscribe(2, 'a');
    hub.unsubscribe(4, 'a');
    hub.subscribe(5, 'a');
    hub.subscribe(2, 'a');
    expect(members('a')).toEqual([1, -1, 3, -1, 5, 2]);
    expect(channel.holes).toBe(2);
    hub.endWalk(channel);
    expect(members('a')).toEqual([1, 3, 5, 2]);
    expect(channel.holes).toBe(0);
    for (const slot of [1, 3, 5, 2]) expect(hub.unsubscribe(slot, 'a')).toBe(true);
    expect(emptied).toEqual(['a']);
  });

  it('is empty only after the walk', () => {
    hub.subscribe(1, 'a');
    const channel = hub.open('a');
    if (channel === undefined) expect.unreachable();
    hub.beginWalk(channel);
    hub.unsubscribe(1, 'a');
    expect(emptied).toEqual([]);
    expect(hub.open('a')).toBe(channel);
    hub.endWalk(channel);
    expect(emptied).toEqual(['a']);
  });

  it('lives on when somebody comes after everybody has left', () => {
    hub.subscribe(1, 'a');
    const channel = hub.open('a');
    if (channel === undefined) expect.unreachable();
    hub.beginWalk(channel);
    hub.unsubscribe(1, 'a');
    hub.subscribe(2, 'a');
    hub.endWalk(channel);
    expect(emptied).toEqual([]);
    expect(members('a')).toEqual([2]);
  });
});

describe('a channel of one', () => {
  it('becomes two, one and none', () => {
    hub.subscribe(1, 'a');
    expect(members('a')).toEqual([1]);
    hub.subscribe(2, 'a');
    expect(members('a')).toEqual([1, 2]);
    hub.unsubscribe(1, 'a');
    expect(members('a')).toEqual([2]);
    expect(hub.isSubscribed(2, 'a')).toBe(true);
    hub.subscribe(3, 'a');
    expect(members('a')).toEqual([2, 3]);
    hub.unsubscribe(3, 'a');
    expect(hub.unsubscribe(3, 'a')).toBe(false);
    hub.unsubscribe(2, 'a');
    expect(emptied).toEqual(['a']);
    expect(hub.has('a')).toBe(false);
    expect(hub.subscriptionsOf(2)).toEqual([]);
  });

  it('becomes two, one and none while it is walked, each in its place', () => {
    hub.subscribe(1, 'a');
    const channel = channelOf('a');
    hub.beginWalk(channel);
    expect(members('a')).toEqual([1]);
    hub.subscribe(2, 'a');
    expect(members('a')).toEqual([1, 2]);
    hub.unsubscribe(1, 'a');
    expect(members('a')).toEqual([-1, 2]);
    hub.unsubscribe(2, 'a');
    expect(members('a')).toEqual([-1, -1]);
    expect(hub.open('a')).toBe(channel);
    expect([...hub.subscriberCounts()]).toEqual([]);
    hub.endWalk(channel);
    expect(emptied).toEqual(['a']);
    expect(hub.channelCount).toBe(0);
  });

  it('whose subscriber leaves in a walk and comes back stands at the end, then first', () => {
    hub.subscribe(1, 'a');
    const channel = channelOf('a');
    hub.beginWalk(channel);
    hub.unsubscribe(1, 'a');
    expect(members('a')).toEqual([-1]);
    hub.subscribe(1, 'a');
    expect(members('a')).toEqual([-1, 1]);
    hub.endWalk(channel);
    expect(members('a')).toEqual([1]);
    hub.subscribe(2, 'a');
    expect(hub.unsubscribe(1, 'a')).toBe(true);
    expect(members('a')).toEqual([2]);
  });

  it('is the same object for as long as it is retained, and one that was forgotten stays empty', () => {
    hub.subscribe(1, 'a');
    const channel = channelOf('a');
    hub.retain(channel);
    expect(hub.isRetained(channel.name)).toBe(true);
    hub.subscribe(2, 'a');
    hub.unsubscribe(1, 'a');
    expect(hub.open('a')).toBe(channel);
    hub.beginWalk(channel);
    hub.endWalk(channel);
    expect(hub.open('a')).toBe(channel);
    hub.unsubscribe(2, 'a');
    expect(emptied).toEqual(['a']);
    hub.subscribe(3, 'b');
    hub.subscribe(4, 'a');
    expect(channel.length).toBe(0);
    hub.beginWalk(channel);
    hub.endWalk(channel);
    hub.release(channel);
    expect(emptied).toEqual(['a']);
    expect(members('a')).toEqual([4]);
    expect(members('b')).toEqual([3]);
  });

  it('is counted, held or not', () => {
    hub.subscribe(1, 'a');
    hub.reserve('b');
    hub.reserve('c');
    for (const slot of [1, 2]) hub.subscribe(slot, 'c');
    expect([...hub.subscriberCounts()]).toEqual([
      ['a', 1],
      ['c', 2],
    ]);
    hub.unreserve('c');
    hub.unreserve('b');
    hub.unreserve('a');
    expect(emptied).toEqual(['b']);
  });

  it('costs less than 150 bytes, its name not included', () => {
    const count = 100_000;
    const names = Array.from({ length: count }, (_, index) => `user:${index}`);
    const many = new Hub(new Int32Array(count), new Arena());
    const before = liveBytes();
    for (const [slot, name] of names.entries()) {
      many.reserve(name);
      many.subscribe(slot, name);
      many.unreserve(name);
    }
    expect((liveBytes() - before) / count).toBeLessThan(150);
    expect(many.channelCount).toBe(count);
  });
});

describe('memory', () => {
  it('of a channel with ten subscribers is less than 550 bytes, its name included', () => {
    const count = 10_000;
    const many = new Hub(new Int32Array(10 * count), new Arena());
    const before = liveBytes();
    for (let slot = 0; slot < 10 * count; slot++) many.subscribe(slot, `room:${slot % count}`);
    expect((liveBytes() - before) / count).toBeLessThan(550);
    expect(many.subscriptionCount).toBe(10 * count);
  });

  it.each(['subscribed', 'reserved'])('of the request head that a %s name is part of is not kept', (how) => {
    const count = 1_000;
    const bytes = Buffer.alloc(10_000, 'x');
    const before = liveBytes();
    for (let slot = 0; slot < count; slot++) {
      bytes.write(`GET /plain?channel=notifications-${slot} HTTP/1.1`);
      const name = bytes.toString('latin1').slice(19, 33 + String(slot).length);
      if (how === 'reserved') hub.reserve(name);
      else hub.subscribe(slot, name);
    }
    expect([...hub.keys()][7]).toBe('notifications-7');
    expect((liveBytes() - before) / count).toBeLessThan(1_000);
  });

  it('of subscriptions is used again', () => {
    for (let round = 0; round < 20; round++) {
      for (let slot = 0; slot < 1000; slot++) hub.subscribe(slot, `channel ${slot % 10}`);
      expect(hub.subscriptionCount).toBe(1000);
      expect(hub.channelCount).toBe(10);
      for (let slot = 0; slot < 1000; slot++) hub.unsubscribeAll(slot);
      expect(hub.subscriptionCount).toBe(0);
      expect(hub.channelCount).toBe(0);
    }
    expect(emptied).toHaveLength(200);
  });
});

describe('the hub', () => {
  it('agrees with plain sets, whatever happens to it', () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    /** How many connections may want each channel: most channels have few subscribers. */
    const sizes = [1, 2, 3, 8, 30];
    const model = new Map<string, Set<number>>(sizes.map((size) => [`channel ${size}`, new Set()]));
    const walked = new Map<string, HubChannel>();
    const pinned: HubChannel[] = [];
    const held = new Map<string, number>();
    let vacancies = 0;
    for (let step = 0; step < 20_000; step++) {
      const size = sizes[random(sizes.length)] ?? 1;
      const name = `channel ${size}`;
      const slot = random(size);
      const subscribers = model.get(name) ?? new Set();
      const wasThere = hub.has(name);
      const choice = random(15);
      if (choice < 4) {
        expect(hub.subscribe(slot, name), `seed ${seed}`).toBe(!subscribers.has(slot));
        subscribers.add(slot);
      } else if (choice < 7) {
        expect(hub.unsubscribe(slot, name), `seed ${seed}`).toBe(subscribers.delete(slot));
      } else if (choice === 7) {
        hub.unsubscribeAll(slot);
        for (const each of model.values()) each.delete(slot);
      } else if (choice < 10) {
        const channel = hub.open(name);
        const walking = walked.get(name);
        if (walking !== undefined) {
          expect(channel, `seed ${seed}: a walked channel stays`).toBe(walking);
          hub.endWalk(walking);
          walked.delete(name);
        } else if (channel !== undefined) {
          hub.beginWalk(channel);
          walked.set(name, channel);
        }
      } else if (choice === 10) {
        const count = held.get(name) ?? 0;
        if (count === 2) continue;
        hub.reserve(name);
        held.set(name, count + 1);
      } else if (choice < 13) {
        const count = held.get(name) ?? 0;
        if (count === 0) continue;
        hub.unreserve(name);
        held.set(name, count - 1);
      } else if (choice === 13) {
        const channel = hub.open(name);
        if (channel === undefined) continue;
        pinned.push(channel);
        hub.retain(channel);
      } else {
        const channel = pinned.shift();
        if (channel !== undefined) hub.release(channel);
      }
      const isThere = subscribers.size > 0 || walked.has(name) || (held.get(name) ?? 0) > 0;
      expect(hub.has(name), `seed ${seed}, step ${step}: ${name}`).toBe(isThere);
      if (choice !== 7 && wasThere && !isThere) expect(emptied[emptied.length - 1]).toBe(name);
      if (wasThere && !isThere) vacancies++;
      if (step % 25 !== 0) continue;
      for (const [each, expected] of model) {
        const actual = members(each).filter((member) => member !== -1);
        expect(actual.length, `seed ${seed}: no slot twice`).toBe(new Set(actual).size);
        expect(new Set(actual), `seed ${seed}`).toEqual(expected);
      }
      for (const [each, count] of hub.subscriberCounts()) expect(model.get(each)?.size).toBe(count);
      const total = [...model.values()].reduce((sum, { size: count }) => sum + count, 0);
      expect(hub.subscriptionCount).toBe(total);
    }
    expect(vacancies).toBeGreaterThan(100);
  });
});
