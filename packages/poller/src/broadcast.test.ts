import { once } from 'node:events';
import { constants } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Rig } from './fixtures/rig.ts';
import { BROADCAST_SKIPPED } from './index.ts';

const { EBADF, EPIPE } = constants.errno;
const UNHURRIED_MICROS = 1_000_000;
const OPEN = 0b01;
const QUEUED = 0b10;

/** The exceptions of a broadcast, as pairs. */
function exceptions(results: Int32Array): number[][] {
  return Array.from({ length: results.at(0)! }, (_, index) => [
    results.at(2 + 2 * index)!,
    results.at(3 + 2 * index)!,
  ]);
}

describe('broadcast', () => {
  let rig: Rig;
  let results: Int32Array;
  const frame = Buffer.from('8105 68656c6c6f'.replace(' ', ''), 'hex');
  beforeEach(() => {
    rig = new Rig(64, { sendableMask: OPEN | QUEUED, sendableValue: OPEN });
    results = new Int32Array(64);
  });
  afterEach(() => rig.dispose());

  it('sends to each row once and passes over holes', async () => {
    const rows = await rig.connectSeveral(3);
    rig.flags.fill(OPEN);
    const slots = Int32Array.of(-1, rows.at(0)!.slot, -1, rows.at(1)!.slot, rows.at(2)!.slot, -1);
    // The element before `from` and the one at `to` are not touched.
    expect(rig.poller.broadcast(slots, 0, 4, frame, UNHURRIED_MICROS, results)).toBe(4);
    expect([results[0], results[1]]).toEqual([0, 2]);
    expect((await once(rows.at(0)!.client, 'data'))[0]).toEqual(frame);
    expect((await once(rows.at(1)!.client, 'data'))[0]).toEqual(frame);
    expect(rig.poller.broadcast(slots, 4, 6, frame, UNHURRIED_MICROS, results)).toBe(6);
    expect((await once(rows.at(2)!.client, 'data'))[0]).toEqual(frame);
    expect(rows.map(({ client }) => client.bytesRead)).toEqual([7, 7, 7]);
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
    const slots = Int32Array.of(queued.slot, 60, failing.slot, open.slot, closing.slot, 64, 2_000_000_000);
    expect(rig.poller.broadcast(slots, 0, 7, frame, UNHURRIED_MICROS, results)).toBe(7);
    expect(results[1]).toBe(1);
    expect(exceptions(results)).toEqual([
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
    expect(rig.poller.broadcast(Int32Array.of(slot), 0, 1, large, UNHURRIED_MICROS, results)).toBe(1);
    expect([results[0], results[1], results[2]]).toEqual([1, 0, slot]);
    expect(results[3]).toBeGreaterThan(0);
    expect(results[3]).toBeLessThan(large.length);
    await rig.fill(slot, client);
    rig.poller.broadcast(Int32Array.of(slot), 0, 1, frame, UNHURRIED_MICROS, results);
    expect(exceptions(results)).toEqual([[slot, 0]]);
  });

  it('sends the alternate frame to rows with one of its bits, in the same walk', async () => {
    const rows = await rig.connectSeveral(4);
    const [plain = -1, alternate = -1, both = -1, queued = -1] = rows.map(({ slot }) => slot);
    // The highest bit and another one: the columns of flags have sixteen.
    const MASK = 0x81_00;
    rig.flags[plain] = OPEN | 0b100;
    rig.flags[alternate] = OPEN | 0x80_00;
    rig.flags[both] = OPEN | 0x81_00;
    rig.flags[queued] = OPEN | QUEUED | 0x01_00;
    const short = Buffer.from('c10100', 'hex');
    const slots = Int32Array.of(alternate, plain, queued, both, 62);
    rig.flags[62] = OPEN | 0x80_00;
    expect(rig.poller.broadcast(slots, 0, 5, frame, UNHURRIED_MICROS, results, short, MASK)).toBe(5);
    expect(results[1]).toBe(3);
    expect(exceptions(results)).toEqual([
      [queued, BROADCAST_SKIPPED],
      [62, -EBADF],
    ]);
    const received = await Promise.all(
      rows.slice(0, 3).map(async ({ client }) => (await once(client, 'data'))[0] as unknown),
    );
    expect(received).toEqual([frame, short, short]);
  });

  it('measures what a row took of the frame that it was sent', async () => {
    const { client, slot } = await rig.connect();
    rig.flags[slot] = OPEN | 0b100;
    client.pause();
    const large = Buffer.alloc(32 << 20);
    const slots = Int32Array.of(slot);
    rig.poller.broadcast(slots, 0, 1, frame, UNHURRIED_MICROS, results, large, 0b100);
    expect([results[0], results[1], results[2]]).toEqual([1, 0, slot]);
    expect(results[3]).toBeGreaterThan(frame.length);
    expect(results[3]).toBeLessThan(large.length);
    await rig.fill(slot, client);
    rig.poller.broadcast(slots, 0, 1, large, UNHURRIED_MICROS, results, frame, 0b100);
    expect(exceptions(results)).toEqual([[slot, 0]]);
  });

  it('sends at least 32 however small the budget is, and says where to go on', async () => {
    const { slot } = await rig.connect();
    rig.flags[slot] = OPEN;
    const slots = new Int32Array(100).fill(slot);
    expect(rig.poller.broadcast(slots, 0, 100, frame, 0, results)).toBe(32);
    expect(results[1]).toBe(32);
    expect(rig.poller.broadcast(slots, 90, 100, frame, 0, results)).toBe(100);
    expect(results[1]).toBe(10);
  });

  it('stops before a row for whose exception there is no room', async () => {
    const { client, slot } = await rig.connect();
    rig.flags[slot] = OPEN;
    const slots = Int32Array.of(slot, 50, 51, slot, 52);
    const two = new Int32Array(6);
    expect(rig.poller.broadcast(slots, 0, 5, frame, UNHURRIED_MICROS, two)).toBe(3);
    expect([...two]).toEqual([2, 1, 50, BROADCAST_SKIPPED, 51, BROADCAST_SKIPPED]);
    expect(rig.poller.broadcast(slots, 3, 5, frame, UNHURRIED_MICROS, two)).toBe(5);
    expect([...two.subarray(0, 4)]).toEqual([1, 1, 52, BROADCAST_SKIPPED]);
    client.resume();
    rig.poller.close(slot);
    await once(client, 'end');
    expect(client.bytesRead).toBe(2 * frame.length);
  });
});
