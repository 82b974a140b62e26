import { eventually } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SubscribeOutcome } from './broker.ts';
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
let wanted: Set<string>;
let table: SubscriptionTable;

beforeEach(() => {
  wire = new Wire();
  wanted = new Set();
  table = new SubscriptionTable(wire, { wanted, subscribeTimeoutMs: 5_000, unsubscribeLingerMs: 20 });
});

afterEach(() => {
  table.stop();
});

function subscribe(channel: string): Promise<SubscribeOutcome> {
  const subscribed = table.subscribe(channel);
  wanted.add(channel);
  return subscribed;
}

function unsubscribe(channel: string): void {
  table.unsubscribe(channel);
  wanted.delete(channel);
}

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
    const subscribed = Promise.all(names.map((name) => subscribe(name)));
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
    for (const name of ['a', 'b', 'c', 'd']) expect(await subscribe(name)).toBe('gap');
    table.up();
    void subscribe('later').catch(() => {});
    await answer(1);
    expect(wire.restored).toEqual([]);
    await eventually(() => wire.subscribes.length === 2);
    table.confirm(['d']);
    expect(wire.restored).toEqual([4]);
  });

  it('starts over when the wire breaks while it restores, and ignores answers that come too late', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await subscribe(name);
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
    for (const name of ['a', 'b', 'c']) await subscribe(name);
    table.up();
    await eventually(() => wire.subscribes.length === 1);
    unsubscribe('a');
    expect(table.refuse('b', new BrokerError('BROKER_REFUSED', 'No.'))).toBe(true);
    table.confirm(['a', 'c']);
    table.answered();
    expect(wire.restored).toEqual([2]);
    await eventually(() => wire.unsubscribes.flat().includes('a'), { what: 'a is left after all' });
  });

  it('does not ask again for what was left while the wire was down', async () => {
    await subscribe('kept');
    await subscribe('left');
    unsubscribe('left');
    table.up();
    await answer(1);
    expect(wire.subscribes).toEqual([['kept']]);
  });

  it('answers those who wait with a gap when the wire breaks, and wants their channels', async () => {
    table.up();
    const subscribed = subscribe('a');
    await eventually(() => wire.subscribes.length === 1);
    table.down();
    expect(await subscribed).toBe('gap');
    table.up();
    await eventually(() => wire.subscribes.length === 2);
  });

  it('tells those who wait why they are refused, and forgets the channel with the last of them', async () => {
    table.up();
    const subscribed = [subscribe('a'), subscribe('a')];
    await eventually(() => wire.subscribes.length === 1);
    expect(table.refuse('a', new BrokerError('BROKER_REFUSED', 'No.'))).toBe(false);
    table.answered();
    for (const each of subscribed) await expect(each).rejects.toMatchObject({ code: 'BROKER_REFUSED' });
    expect(table.isConfirmed('a')).toBe(false);
    unsubscribe('a');
    expect(table.size).toBe(0);
  });

  it('never takes a refused channel for confirmed while it is wanted, and asks again for who comes', async () => {
    await subscribe('a');
    table.up();
    await eventually(() => wire.subscribes.length === 1);
    expect(table.refuse('a', new BrokerError('BROKER_REFUSED', 'No.'))).toBe(true);
    table.answered();
    expect(wire.restored).toEqual([0]);
    expect(table.isConfirmed('a')).toBe(false);
    const again = subscribe('a');
    await eventually(() => wire.subscribes.length === 2);
    table.confirm(['a']);
    expect(await again).toBe('confirmed');
    expect(table.isConfirmed('a')).toBe(true);
  });

  it('unsubscribes before it subscribes the same channel again', async () => {
    table.up();
    void subscribe('a');
    await answer(1);
    wire.isFull = true;
    unsubscribe('a');
    await eventually(() => table.size === 0, { what: 'the linger is over' });
    const again = subscribe('a');
    expect(table.isConfirmed('a')).toBe(false);
    expect(wire.unsubscribes).toEqual([]);
    wire.isFull = false;
    await eventually(() => wire.subscribes.length === 2);
    expect(wire.unsubscribes).toEqual([['a']]);
    table.confirm(['a']);
    table.answered();
    expect(await again).toBe('confirmed');
  });

  it('forgets a channel that is left before it was asked for, unless somebody waits for it', async () => {
    table.up();
    wire.isFull = true;
    const waiting = subscribe('waited for');
    unsubscribe('waited for');
    wire.isFull = false;
    await answer(1);
    expect(await waiting).toBe('confirmed');
    expect(table.isConfirmed('waited for')).toBe(false);
    await eventually(() => wire.unsubscribes.flat().includes('waited for'), { what: 'it is left after all' });
    expect(table.size).toBe(0);
  });

  it('keeps a channel that was left while it was asked for and is wanted again when the answer comes', async () => {
    table.up();
    const first = subscribe('a');
    await eventually(() => wire.subscribes.length === 1);
    unsubscribe('a');
    const second = subscribe('a');
    expect(table.isConfirmed('a')).toBe(false);
    table.confirm(['a']);
    table.answered();
    expect(await Promise.all([first, second])).toEqual(['confirmed', 'confirmed']);
    expect(table.isConfirmed('a')).toBe(true);
    expect(wire.subscribes).toEqual([['a']]);
    expect(wire.unsubscribes).toEqual([]);
  });

  it('lets those who come later wait for the same answer', async () => {
    table.up();
    const first = subscribe('a');
    await eventually(() => wire.subscribes.length === 1);
    let isAnswered = false;
    const second = subscribe('a').then(() => (isAnswered = true));
    expect(table.isConfirmed('a')).toBe(false);
    await Promise.resolve();
    expect(isAnswered).toBe(false);
    table.confirm(['a']);
    await Promise.all([first, second]);
    expect(wire.subscribes).toEqual([['a']]);
  });

  it('times out those who wait, and keeps the channel for who counts on it', async () => {
    table.stop();
    table = new SubscriptionTable(wire, { wanted, subscribeTimeoutMs: 30, unsubscribeLingerMs: 10 });
    expect(await subscribe('owned')).toBe('gap');
    table.up();
    const late = [subscribe('owned'), subscribe('new')];
    for (const each of late) {
      await expect(each).rejects.toMatchObject({ code: 'BROKER_SUBSCRIBE_TIMEOUT' });
    }
    unsubscribe('new');
    for (const channels of wire.subscribes) table.confirm(channels);
    expect(table.isConfirmed('owned')).toBe(true);
    await eventually(() => wire.unsubscribes.flat().includes('new'), { what: 'the other one is left' });
    expect(wire.unsubscribes).toEqual([['new']]);
  });

  it('forgets a channel that timed out before it was asked for', async () => {
    table.stop();
    table = new SubscriptionTable(wire, { wanted, subscribeTimeoutMs: 30, unsubscribeLingerMs: 10 });
    table.up();
    wire.isFull = true;
    const subscribed = [subscribe('left before'), subscribe('left after')];
    unsubscribe('left before');
    for (const each of subscribed) {
      await expect(each).rejects.toMatchObject({ code: 'BROKER_SUBSCRIBE_TIMEOUT' });
    }
    unsubscribe('left after');
    expect(table.size).toBe(0);
    expect(wire.subscribes).toEqual([]);
  });

  it('takes a lingering channel back without asking, and asks again when the wire has been down', async () => {
    table.up();
    const subscribed = subscribe('a');
    await answer(1);
    expect(await subscribed).toBe('confirmed');
    for (let round = 0; round < 3; round += 1) {
      unsubscribe('a');
      expect([table.isConfirmed('a'), table.size]).toEqual([false, 1]);
      expect(await subscribe('a')).toBe('confirmed');
      expect([table.isConfirmed('a'), table.size]).toEqual([true, 0]);
    }
    table.down();
    expect(table.isConfirmed('a')).toBe(false);
    table.up();
    await answer(2);
    expect(wire.subscribes).toEqual([['a'], ['a']]);
    expect(wire.restored).toEqual([0, 1]);
    unsubscribe('a');
    await eventually(() => wire.unsubscribes.length === 1);
    expect(wire.unsubscribes).toEqual([['a']]);
  });

  it('forgets what lingers when the wire breaks', async () => {
    table.up();
    const subscribed = subscribe('a');
    await answer(1);
    await subscribed;
    unsubscribe('a');
    table.down();
    expect(table.size).toBe(0);
    table.up();
    expect(wire.restored).toEqual([0, 0]);
  });

  it('keeps nothing of a channel that is confirmed, or wanted while the wire is down', async () => {
    const names = Array.from({ length: 1_000 }, (_, index) => `user:${index}`);
    for (const name of names) expect(await subscribe(name)).toBe('gap');
    expect(table.size).toBe(0);
    table.up();
    expect(table.size).toBe(names.length);
    await answer(Math.ceil(names.length / wire.maxNames));
    expect(table.size).toBe(0);
    expect(names.every((name) => table.isConfirmed(name))).toBe(true);
    table.down();
    expect(table.size).toBe(0);
  });
});
