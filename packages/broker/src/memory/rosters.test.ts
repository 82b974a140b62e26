import { liveBytes } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { Rosters, type Roster } from './rosters.ts';

const ALICE = { user: 'alice', info: '{}' };

function usersIn(rosters: Rosters, roster: Roster): string[] {
  return rosters.members(roster).map(({ user }) => user);
}

/** The same numbers in every run. */
function* numbersBelow(limit: number): Generator<number, never> {
  for (let state = 4711; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield Math.floor((state / 2 ** 32) * limit);
  }
}

describe('the members of a channel', () => {
  it('are what they came as, whatever its size and alphabet, in the order in which they came', () => {
    const rosters = new Rosters();
    const roster = rosters.make();
    const members = [
      { user: 'alice', info: '{"name":"Alice"}' },
      { user: 'ü🐓', info: '"ж"' },
      { user: 'nobody', info: '' },
      { user: 'y'.repeat(65_535), info: 'z'.repeat(40_000) },
      { user: 'bob', info: 'z'.repeat(40_000) },
    ];
    for (const member of members) expect(rosters.join(roster, member, 1)).toBe('first');
    expect(rosters.members(roster)).toEqual(members);
    expect(rosters.members(roster, 2)).toEqual(members.slice(0, 2));
    expect(rosters.members(roster, 0)).toEqual([]);
    for (const { user } of members) {
      expect(rosters.has(roster, user)).toBe(true);
      expect(rosters.leave(roster, user, 1)).toBe('last');
      expect(rosters.has(roster, user)).toBe(false);
    }
    expect(roster).toEqual({ id: roster.id, first: 0, last: 0, size: 0 });
  });

  it('are others in another channel', () => {
    const rosters = new Rosters();
    const [one, other] = [rosters.make(), rosters.make()];
    rosters.join(one, ALICE, 1);
    expect(rosters.has(other, 'alice')).toBe(false);
    expect(rosters.join(other, { user: 'alice', info: '"other"' }, 1)).toBe('first');
    expect(rosters.leave(one, 'alice', 1)).toBe('last');
    expect(rosters.members(other)).toEqual([{ user: 'alice', info: '"other"' }]);
  });

  it('stay as they came first until the last owner has left, whoever that is', () => {
    const rosters = new Rosters();
    const roster = rosters.make();
    expect(rosters.join(roster, ALICE, 1)).toBe('first');
    expect(rosters.join(roster, { ...ALICE, info: '"later"' }, 2)).toBe('further');
    expect(rosters.join(roster, ALICE, 2)).toBe('again');
    expect(rosters.join(roster, ALICE, 3)).toBe('further');
    expect(rosters.leave(roster, 'alice', 1)).toBe('others');
    expect(rosters.leave(roster, 'alice', 1)).toBe('absent');
    expect([1, 2, 3].map((owner) => rosters.usersOf(roster, owner))).toEqual([[], ['alice'], ['alice']]);
    expect(rosters.leave(roster, 'alice', 3)).toBe('others');
    expect(rosters.members(roster)).toEqual([ALICE]);
    expect(rosters.leave(roster, 'alice', 2)).toBe('last');
    expect(rosters.leave(roster, 'alice', 2)).toBe('absent');
  });

  it('are those of a model that keeps them in Maps, after 20,000 joins and leaves', () => {
    const rosters = new Rosters();
    const channels = Array.from({ length: 5 }, () => ({
      roster: rosters.make(),
      model: new Map<string, Set<number>>(),
    }));
    const numbers = numbersBelow(1000);
    for (let step = 0; step < 20_000; step++) {
      const channel = channels[numbers.next().value % channels.length];
      if (channel === undefined) continue;
      const { roster, model } = channel;
      const user = `user ${numbers.next().value % 30}`;
      const owner = numbers.next().value % 3;
      const owners = model.get(user) ?? new Set();
      if (numbers.next().value < 500) {
        const expected = owners.has(owner) ? 'again' : owners.size > 0 ? 'further' : 'first';
        expect(rosters.join(roster, { user, info: user }, owner)).toBe(expected);
        model.set(user, owners.add(owner));
      } else {
        const expected = !owners.delete(owner) ? 'absent' : owners.size > 0 ? 'others' : 'last';
        expect(rosters.leave(roster, user, owner)).toBe(expected);
        if (owners.size === 0) model.delete(user);
      }
      if (step % 100 > 0) continue;
      expect(usersIn(rosters, roster)).toEqual([...model.keys()]);
      expect(roster.size).toBe(model.size);
      for (const one of [0, 1, 2]) {
        const theirs = [...model].flatMap(([name, set]) => (set.has(one) ? [name] : []));
        expect(rosters.usersOf(roster, one)).toEqual(theirs);
      }
    }
  });

  it('take less than 72 bytes each with short texts, in rooms of 20', () => {
    const rosters = new Rosters();
    const rooms = Array.from({ length: 5000 }, () => rosters.make());
    const before = liveBytes();
    for (let index = 0; index < 100_000; index++) {
      const room = rooms[index % rooms.length] ?? rosters.make();
      rosters.join(room, { user: `u${index}`, info: `{"name":"User ${index}"}` }, 1);
    }
    expect((liveBytes() - before) / 100_000).toBeLessThan(72);
    expect(rooms[0]?.size).toBe(20);
  });
});
