import { eventually, liveBytes } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BrokerError } from './errors.ts';
import { SubscriptionTable } from './subscription-table.ts';

/** A wire that notes what it is asked and answers when told. */
class Wire {
  readonly maxNames = 3;
  readonly subscribes: (readonly string[])[] = [];
  readonly unsubscribes: (readonly string[])[] = [];
  readonly restored: number[] = [];
  isFull = false;

  requestSubscribe(channels: readonly string[]): boolean {
    if (this.isFull) return false;
    this.subscribes.push(channels);
    return true;
  }

  requestUnsubscribe(channels: readonly string[]): boolean {
    if (this.isFull) return false;
    this.unsubscribes.push(channels);
    return true;
  }

  wireOnRestored(restoredCount: number): void {
    this.restored.push(restoredCount);
  }
}

let wire: Wire;
let table: SubscriptionTable;

beforeEach(() => {
  wire = new Wire();
  table = new SubscriptionTable(wire, { subscribeTimeoutMs: 5_000, unsubscribeLingerMs: 20 });
});

afterEach(() => {
  table.stop();
});

/** Confirms the requests that have not been answered, as they come, until so many were. */
async function answer(requestCount: number): Promise<void> {
  for (let index = 0; index < requestCount; index += 1) {
    await eventually(() => wire.subscribes.length > index, { what: `request ${index} is made` });
    table.confirm(wire.subscribes[index] ?? []);
    table.answered();
  }
}

describe('SubscriptionTable', () => {
  it('asks for the channels of one tick together, and has at most four requests under way', async () => {
    table.up();
    const names = Array.from({ length: 20 }, (_, index) => String(index));
    const subscribed = Promise.all(names.map((name) => table.subscribe(name)));
    await eventually(() => wire.subscribes.length === 4);
    expect(wire.subscribes[0]).toEqual(['0', '1', '2']);
    table.confirm(['0', '1', '2']);
    table.answered();
    await eventually(() => wire.subscribes.length === 5);
    for (const channels of wire.subscribes.slice(1)) {
      table.confirm(channels);
      table.answered();
    }
    await eventually(() => wire.subscribes.length === 7);
    for (const channels of wire.subscribes.slice(5)) {
      table.confirm(channels);
      table.answered();
    }
    expect(new Set(await subscribed)).toEqual(new Set(['confirmed']));
    expect(wire.subscribes.flat()).toEqual(names);
  });

  it('is restored when there is nothing to restore', () => {
    table.up();
    expect(wire.restored).toEqual([0]);
  });

  it('is restored once all channels wanted at that time are confirmed, not later ones', async () => {
    for (const name of ['a', 'b', 'c', 'd']) expect(await table.subscribe(name)).toBe('gap');
    table.up();
    void table.subscribe('later').catch(() => {});
    await answer(1);
    expect(wire.restored).toEqual([]);
    await eventually(() => wire.subscribes.length === 2);
    table.confirm(['d']);
    expect(wire.restored).toEqual([4]);
  });

  it('starts over when the wire breaks while it restores, and ignores answers that come too late', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await table.subscribe(name);
    table.up();
    await answer(1);
    expect(table.isConfirmed('a')).toBe(true);
    table.down();
    expect(table.isConfirmed('a')).toBe(false);
    expect(wire.restored).toEqual([]);
    wire.subscribes.length = 0;
    table.up();
    table.confirm(['a', 'd']);
    expect(table.isConfirmed('d')).toBe(false);
    await answer(2);
    expect(wire.restored).toEqual([4]);
    expect(['a', 'b', 'c', 'd'].every((name) => table.isConfirmed(name))).toBe(true);
  });

  it('counts a channel as restored that was left or refused meanwhile', async () => {
    for (const name of ['a', 'b', 'c']) await table.subscribe(name);
    table.up();
    await eventually(() => wire.subscribes.length === 1);
    table.unsubscribe('a');
    expect(table.refuse('b', new BrokerError('BROKER_REFUSED', 'No.'))).toBe(true);
    table.confirm(['a', 'c']);
    table.answered();
    expect(wire.restored).toEqual([2]);
    await eventually(() => wire.unsubscribes.flat().includes('a'), { what: 'a is left after all' });
  });

  it('does not ask again for what was left while the wire was down', async () => {
    await table.subscribe('kept');
    await table.subscribe('left');
    table.unsubscribe('left');
    table.up();
    await answer(1);
    expect(wire.subscribes).toEqual([['kept']]);
    expect(table.size).toBe(1);
  });

  it('answers those who wait with a gap when the wire breaks, and wants their channels', async () => {
    table.up();
    const subscribed = table.subscribe('a');
    await eventually(() => wire.subscribes.length === 1);
    table.down();
    expect(await subscribed).toBe('gap');
    table.up();
    await eventually(() => wire.subscribes.length === 2);
  });

  it('tells those who wait why they are refused, and forgets the channel', async () => {
    table.up();
    const subscribed = [table.subscribe('a'), table.subscribe('a')];
    await eventually(() => wire.subscribes.length === 1);
    expect(table.refuse('a', new BrokerError('BROKER_REFUSED', 'No.'))).toBe(false);
    table.answered();
    for (const each of subscribed) await expect(each).rejects.toMatchObject({ code: 'BROKER_REFUSED' });
    expect(table.size).toBe(0);
  });

  it('unsubscribes before it subscribes the same channel again', async () => {
    table.up();
    void table.subscribe('a');
    await answer(1);
    wire.isFull = true;
    table.unsubscribe('a');
    await eventually(() => table.size === 0, { what: 'the linger is over' });
    const again = table.subscribe('a');
    expect(wire.unsubscribes).toEqual([]);
    wire.isFull = false;
    await eventually(() => wire.subscribes.length === 2);
    expect(wire.unsubscribes).toEqual([['a']]);
    table.confirm(['a']);
    table.answered();
    expect(await again).toBe('confirmed');
  });

  it('times out each call on its own, and keeps the channel for an earlier owner', async () => {
    table.stop();
    table = new SubscriptionTable(wire, { subscribeTimeoutMs: 30, unsubscribeLingerMs: 10 });
    expect(await table.subscribe('owned')).toBe('gap');
    table.up();
    const late = [table.subscribe('owned'), table.subscribe('new')];
    for (const each of late) {
      await expect(each).rejects.toMatchObject({ code: 'BROKER_SUBSCRIBE_TIMEOUT' });
    }
    expect(table.isWanted('owned')).toBe(true);
    expect(table.isWanted('new')).toBe(false);
  });

  it('takes a lingering channel back without asking, and asks again when the wire has been down', async () => {
    table.up();
    const subscribed = table.subscribe('a');
    await answer(1);
    expect(await subscribed).toBe('confirmed');
    for (let round = 0; round < 3; round += 1) {
      table.unsubscribe('a');
      expect([table.isWanted('a'), table.isConfirmed('a'), table.size]).toEqual([false, false, 1]);
      expect(await table.subscribe('a')).toBe('confirmed');
      expect([table.isWanted('a'), table.isConfirmed('a'), table.size]).toEqual([true, true, 1]);
    }
    table.down();
    expect([table.isWanted('a'), table.isConfirmed('a'), table.size]).toEqual([true, false, 1]);
    table.up();
    await answer(2);
    expect(wire.subscribes).toEqual([['a'], ['a']]);
    expect(wire.restored).toEqual([0, 1]);
    table.unsubscribe('a');
    await eventually(() => table.size === 0, { what: 'the linger is over' });
    await eventually(() => wire.unsubscribes.length === 1);
    expect(wire.unsubscribes).toEqual([['a']]);
  });

  it('keeps less than 60 bytes of a channel that is confirmed, its name not included', async () => {
    const names = Array.from({ length: 50_000 }, (_, index) => `user:${index}`);
    table.stop();
    const many = new SubscriptionTable(
      {
        maxNames: 500,
        requestSubscribe: (channels) => {
          setImmediate(() => {
            many.confirm(channels);
            many.answered();
          });
          return true;
        },
        requestUnsubscribe: () => true,
        wireOnRestored: () => {},
      },
      { subscribeTimeoutMs: 5_000, unsubscribeLingerMs: 20 },
    );
    many.up();
    const before = liveBytes();
    await Promise.all(names.map((name) => many.subscribe(name)));
    expect((liveBytes() - before) / names.length).toBeLessThan(60);
    expect(many.size).toBe(names.length);
    many.stop();
  });
});
