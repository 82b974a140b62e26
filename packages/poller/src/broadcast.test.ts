import { once } from 'node:events';
import { constants } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Rig } from './fixtures/rig.ts';
import { BROADCAST_SKIPPED, BroadcastWalk } from './index.ts';

const { EBADF, EPIPE } = constants.errno;
const UNHURRIED_MICROS = 1_000_000;
const OPEN = 0b01;
const QUEUED = 0b10;

/** The exceptions of a walk, as pairs. */
function exceptions(walk: BroadcastWalk): number[][] {
  return Array.from({ length: walk.exceptionCount }, (_, index) => [
    walk.slotOf(index),
    walk.outcomeOf(index),
  ]);
}

/** Walks to `members[from … to)`; answers where to go on. */
function send(rig: Rig, walk: BroadcastWalk, members: number[], [from, to] = [0, members.length]): number {
  Object.assign(walk, { members: Int32Array.from(members), from, to });
  return rig.poller.broadcast(walk, UNHURRIED_MICROS);
}

describe('broadcast', () => {
  let rig: Rig;
  let walk: BroadcastWalk;
  const frame = Buffer.from('8105 68656c6c6f'.replace(' ', ''), 'hex');
  beforeEach(() => {
    rig = new Rig(64, { sendableMask: OPEN | QUEUED, sendableValue: OPEN });
    walk = new BroadcastWalk();
    walk.forms[0] = frame;
  });
  afterEach(() => rig.dispose());

  it('sends to each row once and passes over holes', async () => {
    const rows = await rig.connectSeveral(3);
    rig.flags.fill(OPEN);
    const members = [-1, rows.at(0)!.slot, -1, rows.at(1)!.slot, rows.at(2)!.slot, -1];
    // The element before `from` and the one at `to` are not touched.
    expect(send(rig, walk, members, [0, 4])).toBe(4);
    expect([walk.exceptionCount, walk.wholeCount]).toEqual([0, 2]);
    expect((await once(rows.at(0)!.client, 'data'))[0]).toEqual(frame);
    expect((await once(rows.at(1)!.client, 'data'))[0]).toEqual(frame);
    expect(send(rig, walk, members, [4, 6])).toBe(6);
    expect((await once(rows.at(2)!.client, 'data'))[0]).toEqual(frame);
    expect(rows.map(({ client }) => client.bytesRead)).toEqual([7, 7, 7]);
    // Every byte was counted once.
    expect([...rig.poller.movedBytes]).toEqual([0, 21]);
  });

  it('reports rows whose flags forbid it, rows without a descriptor, and rows that fail', async () => {
    const open = await rig.connect();
    const queued = await rig.connect();
    const closing = await rig.connect();
    const failing = await rig.connect();
    rig.flags[open.slot] = OPEN;
    rig.flags[queued.slot] = OPEN | QUEUED;
    rig.flags[closing.slot] = 0;
    rig.flags[failing.slot] = OPEN | 0b100;
    rig.poller.shutdownWrite(failing.slot);
    rig.flags[60] = OPEN;
    const members = [queued.slot, 60, failing.slot, open.slot, closing.slot, 64, 2_000_000_000];
    expect(send(rig, walk, members)).toBe(7);
    expect(walk.wholeCount).toBe(1);
    expect(exceptions(walk)).toEqual([
      [queued.slot, BROADCAST_SKIPPED],
      [60, -EBADF],
      [failing.slot, -EPIPE],
      [closing.slot, BROADCAST_SKIPPED],
      [64, -EBADF],
      [2_000_000_000, -EBADF],
    ]);
    expect((await once(open.client, 'data'))[0]).toEqual(frame);
  });

  it('reports how much of the frame a row took', async () => {
    const { client, slot } = await rig.connect();
    rig.flags[slot] = OPEN;
    client.pause();
    const large = Buffer.alloc(32 << 20);
    walk.forms[0] = large;
    expect(send(rig, walk, [slot])).toBe(1);
    expect([walk.exceptionCount, walk.wholeCount, walk.slotOf(0)]).toEqual([1, 0, slot]);
    expect(walk.outcomeOf(0)).toBeGreaterThan(0);
    expect(walk.outcomeOf(0)).toBeLessThan(large.length);
    await rig.fill(slot, client);
    walk.forms[0] = frame;
    send(rig, walk, [slot]);
    expect(exceptions(walk)).toEqual([[slot, 0]]);
  });

  it('sends each row the form whose number stands in its flags, in the same walk', async () => {
    const rows = await rig.connectSeveral(5);
    const [first = -1, second = -1, third = -1, fourth = -1, queued = -1] = rows.map(({ slot }) => slot);
    // The highest two bits: the columns of flags have sixteen.
    walk = new BroadcastWalk({ formMask: 0xc0_00 });
    const forms = ['8103 6f6e65', '8103 74776f', '8105 7468726565', '8104 666f7572'].map((text) =>
      Buffer.from(text.replace(' ', ''), 'hex'),
    );
    expect(walk.forms).toHaveLength(4);
    walk.forms.splice(0, 4, ...forms);
    rig.flags[first] = OPEN | 0b100;
    rig.flags[second] = OPEN | 0x40_00;
    rig.flags[third] = OPEN | 0x80_00 | 0x20_00;
    rig.flags[fourth] = OPEN | 0xc0_00;
    rig.flags[queued] = OPEN | QUEUED | 0x40_00;
    rig.flags[62] = OPEN | 0x80_00;
    expect(send(rig, walk, [fourth, second, queued, third, 62, first])).toBe(6);
    expect(walk.wholeCount).toBe(4);
    expect(exceptions(walk)).toEqual([
      [queued, BROADCAST_SKIPPED],
      [62, -EBADF],
    ]);
    const received = await Promise.all(
      rows.slice(0, 4).map(async ({ client }) => (await once(client, 'data'))[0] as unknown),
    );
    expect(received).toEqual(forms);
    expect([first, second, third, fourth].map((slot) => walk.formFor(rig.flags[slot] ?? 0))).toEqual(forms);
  });

  it('passes over one row, and rows whose form is empty, whatever their flags', async () => {
    const rows = await rig.connectSeveral(4);
    const [first = -1, second = -1, third = -1, last = -1] = rows.map(({ slot }) => slot);
    walk = new BroadcastWalk({ formMask: 0b100 });
    walk.forms[1] = frame;
    for (const slot of [second, third, last]) rig.flags[slot] = OPEN | 0b100;
    rig.flags[first] = OPEN;
    // Queued, and nothing is for it either.
    rig.flags[61] = OPEN | QUEUED;
    walk.exceptSlot = second;
    const members = [first, second, 61, third, second, last];
    expect(send(rig, walk, members)).toBe(6);
    expect([walk.exceptionCount, walk.wholeCount]).toEqual([0, 2]);
    const both = rows.slice(2).map(async ({ client }) => (await once(client, 'data'))[0] as unknown);
    expect(await Promise.all(both)).toEqual([frame, frame]);
    expect(rows.map(({ client }) => client.bytesRead)).toEqual([0, 0, 7, 7]);
    expect([first, second, 61, third, -1].map((slot) => walk.formOf(slot, rig.flags[slot] ?? 0))).toEqual([
      undefined,
      undefined,
      undefined,
      frame,
      undefined,
    ]);
  });

  it('is sent to every row again after a walk without one', async () => {
    const { client, slot } = await rig.connect();
    rig.flags[slot] = OPEN;
    walk.exceptSlot = slot;
    send(rig, walk, [slot]);
    expect(walk.wholeCount).toBe(0);
    walk.release();
    walk.forms[0] = frame;
    send(rig, walk, [slot]);
    expect((await once(client, 'data'))[0]).toEqual(frame);
  });

  it('measures what a row took of the form that it was sent', async () => {
    const { client, slot } = await rig.connect();
    rig.flags[slot] = OPEN | 0b100;
    client.pause();
    const large = Buffer.alloc(32 << 20);
    walk = new BroadcastWalk({ formMask: 0b100 });
    walk.forms.splice(0, 2, frame, large);
    send(rig, walk, [slot]);
    expect([walk.exceptionCount, walk.wholeCount, walk.slotOf(0)]).toEqual([1, 0, slot]);
    expect(walk.outcomeOf(0)).toBeGreaterThan(frame.length);
    expect(walk.outcomeOf(0)).toBeLessThan(large.length);
    await rig.fill(slot, client);
    walk.forms.splice(0, 2, large, frame);
    send(rig, walk, [slot]);
    expect(exceptions(walk)).toEqual([[slot, 0]]);
  });

  it('sends at least 32 however small the budget is, and says where to go on', async () => {
    const { slot } = await rig.connect();
    rig.flags[slot] = OPEN;
    walk.members = new Int32Array(100).fill(slot);
    walk.to = 100;
    expect(rig.poller.broadcast(walk, 0)).toBe(32);
    expect(walk.wholeCount).toBe(32);
    walk.from = 90;
    expect(rig.poller.broadcast(walk, 0)).toBe(100);
    expect(walk.wholeCount).toBe(10);
  });

  it('stops before a row for whose exception there is no room', async () => {
    const { client, slot } = await rig.connect();
    rig.flags[slot] = OPEN;
    const members = [slot, 50, 51, slot, 52];
    walk = new BroadcastWalk({ maxExceptions: 2 });
    walk.forms[0] = frame;
    expect(send(rig, walk, members)).toBe(3);
    expect(walk.wholeCount).toBe(1);
    expect(exceptions(walk)).toEqual([
      [50, BROADCAST_SKIPPED],
      [51, BROADCAST_SKIPPED],
    ]);
    expect(send(rig, walk, members, [3, 5])).toBe(5);
    expect(walk.wholeCount).toBe(1);
    expect(exceptions(walk)).toEqual([[52, BROADCAST_SKIPPED]]);
    client.resume();
    rig.poller.close(slot);
    await once(client, 'end');
    expect(client.bytesRead).toBe(2 * frame.length);
  });

  it('has the same results for what walks in JavaScript', () => {
    walk = new BroadcastWalk({ maxExceptions: 2 });
    walk.begin();
    walk.record(7, 5, 5);
    walk.record(8, 3, 5);
    expect(walk.hasRoom).toBe(true);
    walk.record(9, -EBADF, 5);
    expect(walk.hasRoom).toBe(false);
    expect(walk.wholeCount).toBe(1);
    expect(exceptions(walk)).toEqual([
      [8, 3],
      [9, -EBADF],
    ]);
    walk.begin();
    expect([walk.wholeCount, walk.exceptionCount, walk.hasRoom]).toEqual([0, 0, true]);
  });

  it('keeps nothing of the message after its release', () => {
    send(rig, walk, [1, 2, 3]);
    walk.release();
    expect([walk.members.length, walk.from, walk.to, walk.forms]).toEqual([0, 0, 0, [Buffer.alloc(0)]]);
  });
});
