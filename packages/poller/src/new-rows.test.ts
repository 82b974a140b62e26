import { once } from 'node:events';
import { constants } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Rig, type Row } from './fixtures/rig.ts';
import { Interest, PollFlag, unreadBytes } from './index.ts';

const { EBADF, EEXIST } = constants.errno;

/** Resolves when the kernel has the bytes that the client of a row has written. */
async function arrived(rig: Rig, { slot }: Row, bytes: number): Promise<void> {
  const fd = rig.fds.at(slot)!;
  while (unreadBytes(fd) < bytes) await new Promise(setImmediate);
}

describe('a row that is new', () => {
  let rig: Rig;
  beforeEach(() => {
    rig = new Rig();
  });
  afterEach(() => rig.dispose());

  const receive = (...rows: Row[]) =>
    rig.entries(
      rig.poller.receiveNew(
        Int32Array.from(rows, ({ slot }) => slot),
        rows.length,
      ),
    );
  const watch = (...rows: Row[]) =>
    rig.poller.watchNew(
      Int32Array.from(rows, ({ slot }) => slot),
      rows.length,
    );

  it('gives the bytes that came before it was watched, without a wake-up', async () => {
    const [talker, silent] = [await rig.connect(), await rig.connect()];
    talker.client.write('first');
    await arrived(rig, talker, 5);
    rig.generations[talker.slot] = 7;
    const [entry, ...others] = receive(silent, talker);
    expect(entry).toMatchObject({ slot: talker.slot, generation: 7, flags: PollFlag.data });
    expect(String(entry?.bytes)).toBe('first');
    expect(others).toEqual([]);
    expect(rig.batches).toEqual([]);
  });

  it('reports what comes later, once it is watched', async () => {
    const row = await rig.connect();
    receive(row);
    row.client.write('later');
    await arrived(rig, row, 5);
    await rig.settle();
    expect(rig.of(row.slot)).toEqual([]);
    expect(watch(row)).toBe(0);
    await rig.event(row.slot, PollFlag.data);
    expect(String(rig.received(row.slot))).toBe('later');
  });

  it('gives at most rowBytes, and the rest once it is watched', async () => {
    rig.dispose();
    rig = new Rig(8, { rowBytes: 4 });
    const row = await rig.connect();
    row.client.write('seven..');
    await arrived(rig, row, 7);
    expect(receive(row).map(({ bytes }) => String(bytes))).toEqual(['seve']);
    watch(row);
    await rig.until(() => rig.received(row.slot).length === 3, 'the rest');
    expect(String(rig.received(row.slot))).toBe('n..');
  });

  it('waits for its turn in the set when the slab is full', async () => {
    rig.dispose();
    rig = new Rig(8, { slabBytes: 4096, rowBytes: 4096 });
    const rows = await rig.connectSeveral(2);
    for (const row of rows) {
      row.client.write('x');
      await arrived(rig, row, 1);
    }
    expect(receive(...rows).map(({ slot }) => slot)).toEqual([rows.at(0)!.slot]);
    watch(...rows);
    await rig.event(rows.at(1)!.slot, PollFlag.data);
    expect(rig.of(rows.at(0)!.slot)).toEqual([]);
  });

  it('reports the end and the failure of its connection once', async () => {
    const [ended, broken] = [await rig.connect(), await rig.connect()];
    ended.client.end();
    broken.client.resetAndDestroy();
    await once(broken.client, 'close');
    await rig.settle();
    expect(receive(ended, broken).map(({ slot, flags }) => [slot, flags])).toEqual([
      [ended.slot, PollFlag.end],
      [broken.slot, PollFlag.error],
    ]);
    expect(watch(ended, broken)).toBe(0);
    await rig.settle();
    expect([...rig.of(ended.slot), ...rig.of(broken.slot)]).toEqual([]);
  });

  it('is not watched after all when it was closed or taken out before', async () => {
    const [closed, taken] = [await rig.connect(), await rig.connect()];
    receive(closed, taken);
    rig.poller.close(closed.slot);
    expect(rig.fds.at(closed.slot)).toBe(-1);
    expect(rig.poller.unwatch(taken.slot)).toBe(0);
    expect(watch(closed, taken)).toBe(0);
    taken.client.write('x');
    await arrived(rig, taken, 1);
    await rig.settle();
    expect([...rig.of(closed.slot), ...rig.of(taken.slot)]).toEqual([]);
    expect(rig.poller.watch(taken.slot, Interest.readable)).toBe(0);
  });

  it('keeps the interest that it was told before', async () => {
    const [paused, writable] = [await rig.connect(), await rig.connect()];
    receive(paused, writable);
    expect(rig.poller.setInterest(paused.slot, Interest.paused)).toBe(0);
    expect(rig.poller.setInterest(writable.slot, Interest.writable)).toBe(0);
    expect(watch(paused, writable)).toBe(0);
    paused.client.write('x');
    await rig.event(writable.slot, PollFlag.writable);
    await arrived(rig, paused, 1);
    await rig.settle();
    expect(rig.of(paused.slot)).toEqual([]);
    expect(rig.poller.watch(paused.slot, Interest.readable)).toBe(-EEXIST);
  });

  it('is counted when it cannot be watched, and watch tells why', async () => {
    const row = await rig.connect();
    receive(row);
    expect(watch(row)).toBe(0);
    // A descriptor can be in the set only once.
    const again = 7;
    rig.fds[again] = rig.fds.at(row.slot)!;
    const slots = Int32Array.of(again);
    expect(rig.poller.receiveNew(slots, 1)).toBe(0);
    expect(rig.poller.watchNew(slots, 1)).toBe(1);
    expect(rig.poller.watch(again, Interest.readable)).toBe(-EEXIST);
    rig.fds[again] = -1;
  });

  it('reports a descriptor that is none, and is not watched', async () => {
    const row = await rig.connect();
    const unused = 7;
    const slots = Int32Array.of(row.slot, unused);
    expect(rig.entries(rig.poller.receiveNew(slots, 2))).toMatchObject([
      { slot: unused, flags: PollFlag.error, length: EBADF },
    ]);
    expect(rig.poller.watchNew(slots, 2)).toBe(0);
    expect(rig.poller.watch(unused, Interest.readable)).toBe(-EBADF);
  });
});
