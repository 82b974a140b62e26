import { Arena } from '@roost/broker';
import { beforeEach, describe, expect, it } from 'vitest';
import { liveBytes, seededRandom, testSeed } from '@roost/testing';
import { Hub } from './hub.ts';
import { Memberships } from './memberships.ts';

const CAPACITY = 64;

let hub: Hub;
let arena: Arena;
/** Whom the store knows, by channel and user: joined, or about to. */
let known: Set<string>;
/** What the store was told. */
let left: string[];
let memberships: Memberships;

function setUp(capacity = CAPACITY): void {
  arena = new Arena();
  hub = new Hub(new Int32Array(capacity), arena);
  hub.connect(() => undefined);
  known = new Set();
  left = [];
  memberships = new Memberships({
    table: { capacity },
    arena,
    hub,
    store: {
      isMember: (channel, user) => known.has(`${channel} ${user}`),
      leave: (channel, user) => {
        // Of whom it does not know it, it does nothing.
        if (known.delete(`${channel} ${user}`)) left.push(`${channel} ${user}`);
      },
    },
  });
}

beforeEach(() => setUp());

/** The connection is let in as a member, as far as the store is concerned at once. */
function join(slot: number, channel: string, user: string): void {
  memberships.hold(channel, user);
  known.add(`${channel} ${user}`);
  hub.subscribe(slot, channel);
  memberships.add(slot, channel, user);
}

function leave(slot: number, channel: string): void {
  memberships.leave(slot, channel);
  hub.unsubscribe(slot, channel);
}

function leaveAll(slot: number): void {
  memberships.leaveAll(slot);
  hub.unsubscribeAll(slot);
}

describe('memberships', () => {
  it('tell as whom a connection is where', () => {
    join(1, 'a', 'ada');
    join(1, 'b', 'né');
    hub.subscribe(1, 'c');
    join(2, 'a', 'bob');
    expect(['a', 'b', 'c', 'd'].map((channel) => memberships.userOf(1, channel))).toEqual([
      'ada',
      'né',
      undefined,
      undefined,
    ]);
    expect(memberships.userOf(2, 'a')).toBe('bob');
    expect(memberships.channels().toSorted()).toEqual(['a', 'b']);
    expect([memberships.has('a'), memberships.has('c'), memberships.has('d')]).toEqual([true, false, false]);
  });

  it('end with the last connection of the user, however it leaves', () => {
    for (const slot of [1, 2, 3]) join(slot, 'a', 'ada');
    join(3, 'b', 'ada');
    leave(1, 'a');
    leave(1, 'a');
    leaveAll(2);
    expect(left).toEqual([]);
    leaveAll(3);
    expect(left.toSorted()).toEqual(['a ada', 'b ada']);
    expect(memberships.channels()).toEqual([]);
    expect([memberships.has('a'), memberships.userOf(1, 'a')]).toEqual([false, undefined]);
  });

  it('stay while another connection of the user is on its way, and end when it gives up', () => {
    join(1, 'a', 'ada');
    memberships.hold('a', 'ada');
    memberships.hold('a', 'ada');
    hub.reserve('a');
    leave(1, 'a');
    expect(left).toEqual([]);
    memberships.release('a', 'ada');
    expect(left).toEqual([]);
    memberships.release('a', 'ada');
    expect(left).toEqual(['a ada']);
  });

  it('go on with a connection that was on its way when the other left', () => {
    join(1, 'a', 'ada');
    memberships.hold('a', 'ada');
    hub.reserve('a');
    leave(1, 'a');
    hub.subscribe(2, 'a');
    memberships.add(2, 'a', 'ada');
    expect(left).toEqual([]);
    leave(2, 'a');
    expect(left).toEqual(['a ada']);
  });

  it('are not ended by one that was refused while another of the user joins', () => {
    memberships.hold('a', 'ada');
    memberships.hold('a', 'ada');
    known.add('a ada');
    memberships.release('a', 'ada');
    expect(left).toEqual([]);
    hub.subscribe(2, 'a');
    memberships.add(2, 'a', 'ada');
    leaveAll(2);
    expect(left).toEqual(['a ada']);
  });

  it('are as many for one connection as it may have channels', () => {
    const user = 'u'.repeat(128);
    for (let index = 0; index < 2000; index++) join(1, `channel ${index}`, user);
    expect(memberships.userOf(1, 'channel 0')).toBe(user);
    leaveAll(1);
    expect(left).toHaveLength(2000);
  });

  it('are right in any order of events', () => {
    const random = seededRandom(testSeed());
    const [channels, users] = [
      ['a', 'b', 'c'],
      ['x', 'y', 'z'],
    ];
    /** By slot: what it is where. */
    const joined = Array.from({ length: 8 }, () => new Map<string, string>());
    const underWay: { slot: number; channel: string; user: string }[] = [];
    for (let step = 0; step < 30_000; step++) {
      const [slot, channel, user] = [random(8), channels[random(3)] ?? '', users[random(3)] ?? ''];
      const mine = joined[slot];
      switch (random(4)) {
        case 0: {
          if (mine === undefined || mine.has(channel)) break;
          hub.reserve(channel);
          memberships.hold(channel, user);
          known.add(`${channel} ${user}`);
          underWay.push({ slot, channel, user });
          break;
        }
        case 1: {
          const [ended] = underWay.splice(random(Math.max(1, underWay.length)), 1);
          if (ended === undefined) break;
          if (random(2) === 0 && hub.subscribe(ended.slot, ended.channel)) {
            memberships.add(ended.slot, ended.channel, ended.user);
            joined[ended.slot]?.set(ended.channel, ended.user);
          } else memberships.release(ended.channel, ended.user);
          hub.unreserve(ended.channel);
          break;
        }
        case 2:
          leave(slot, channel);
          mine?.delete(channel);
          break;
        default:
          if (random(4) > 0) break;
          leaveAll(slot);
          mine?.clear();
      }
      const expected = new Set<string>();
      for (const map of joined) for (const [in_, as] of map) expected.add(`${in_} ${as}`);
      for (const { channel: in_, user: as } of underWay) expected.add(`${in_} ${as}`);
      if ([...known].toSorted().join() !== [...expected].toSorted().join()) {
        expect.unreachable(`step ${step}: the store knows ${[...known].join()}, not ${[...expected].join()}`);
      }
      for (const [at, map] of joined.entries()) {
        for (const name of channels) {
          if (memberships.userOf(at, name) !== map.get(name))
            expect.unreachable(`step ${step}: ${at} in ${name}`);
        }
      }
      for (const name of channels) {
        const isThere = joined.some((map) => map.has(name));
        if (memberships.has(name) !== isThere) expect.unreachable(`step ${step}: ${name}`);
      }
    }
  });

  it('take 24 bytes each for short names of users, in the arena', () => {
    setUp(100_000);
    hub.reserve('room');
    const before = liveBytes();
    for (let slot = 0; slot < 100_000; slot++) memberships.add(slot, 'room', `user-${slot}`);
    // And four for each row.
    expect((liveBytes() - before) / 100_000).toBeLessThan(24 + 4 + 2);
    for (let slot = 0; slot < 100_000; slot++) memberships.leaveAll(slot);
    // One page of each size is kept.
    expect(arena.bytes).toBeLessThanOrEqual(2 * 64 * 1024);
  });
});
