import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { Rig } from './fixtures/rig.ts';
import { Interest, outstandingBytes, PollFlag } from './index.ts';

const BUSY_ROWS = 200;
const BYTES_PER_ROW = 32 * 1024;
const SLAB_BYTES = 64 * 1024;
const ROW_BYTES = 4096;

function sum(batch: readonly { length: number }[]): number {
  return batch.reduce((total, entry) => total + entry.length, 0);
}

/** Clients that have each sent `bytes`, all of which wait in the server's kernel, unwatched. */
async function busyRows(rig: Rig, count: number, bytes: number) {
  const rows = [];
  for (let index = 0; index < count; index++) {
    const row = await rig.connect();
    row.client.write(Buffer.alloc(bytes, index));
    if (row.client.writableLength > 0) await once(row.client, 'drain');
    rows.push(row);
  }
  return rows;
}

describe('the bound of a wake-up', () => {
  let rig: Rig;
  afterEach(() => rig.dispose());

  it('keeps every batch within the slab and every row within its share', async () => {
    rig = new Rig(BUSY_ROWS + 8);
    const rows = await busyRows(rig, BUSY_ROWS, BYTES_PER_ROW);
    let total = 0;
    rig.onBatch = (batch) => {
      total += sum(batch);
    };
    rig.watchAll(rows);
    await rig.until(() => total === BUSY_ROWS * BYTES_PER_ROW, 'all bytes');
    for (const batch of rig.batches) {
      expect(sum(batch)).toBeLessThanOrEqual(SLAB_BYTES);
      expect(new Set(batch.map(({ slot }) => slot)).size).toBe(batch.length);
    }
    const whileAllWait = rig.batches.slice(0, 50).flat();
    expect(Math.max(...whileAllWait.map(({ length }) => length))).toBeLessThanOrEqual(ROW_BYTES);
    for (const { slot } of rows)
      expect(rig.received(slot).equals(Buffer.alloc(BYTES_PER_ROW, slot))).toBe(true);
  });

  it('serves 200 busy rows in turns and a quiet one within two wake-ups', async () => {
    rig = new Rig(BUSY_ROWS + 8);
    const quiet = await rig.join();
    const rows = await busyRows(rig, BUSY_ROWS, BYTES_PER_ROW);
    const writtenAt: number[] = [];
    const heardAt: number[] = [];
    rig.onBatch = (batch) => {
      if (batch.some(({ slot }) => slot === quiet.slot)) heardAt.push(rig.batches.length);
      if (rig.batches.length % 10 === 5 && rig.batches.length < 80) {
        quiet.client.write('?');
        writtenAt.push(rig.batches.length);
      }
    };
    rig.watchAll(rows);
    const total = () => rows.reduce((bytes, { slot }) => bytes + rig.received(slot).length, 0);
    await rig.until(() => rig.batches.length >= 90, 'ninety batches');
    // Some batches are smaller, on a machine that is busy.
    expect(total()).toBeGreaterThan(40 * (SLAB_BYTES - 2 * ROW_BYTES));

    expect(writtenAt).toHaveLength(8);
    expect(heardAt).toHaveLength(8);
    heardAt.forEach((at, index) => expect(at - writtenAt.at(index)!).toBeLessThanOrEqual(2));

    // Nobody gets a second turn more than a round and a half before somebody else.
    const served = rig.batches
      .slice(0, 80)
      .flat()
      .filter(({ slot }) => slot !== quiet.slot);
    const lastTurn = new Map<number, number>();
    served.forEach(({ slot }, turn) => {
      expect(turn - (lastTurn.get(slot) ?? 0)).toBeLessThanOrEqual(BUSY_ROWS * 1.5);
      lastTurn.set(slot, turn);
    });
    expect(lastTurn.size).toBe(BUSY_ROWS);
  });

  it('brings less of busy rows when a batch takes long, and quiet rows first', async () => {
    rig = new Rig(BUSY_ROWS + 8);
    const quiet = await rig.join();
    const rows = await busyRows(rig, BUSY_ROWS, BYTES_PER_ROW);
    const positions: number[] = [];
    rig.onBatch = (batch) => {
      const position = batch.findIndex(({ slot }) => slot === quiet.slot);
      if (position >= 0) positions.push(position);
      if (rig.batches.length % 4 === 0) quiet.client.write('?');
      // 1 ms for each row's share, as 600 small messages would take.
      const until = performance.now() + sum(batch) / ROW_BYTES;
      while (performance.now() < until);
    };
    rig.watchAll(rows);
    await rig.until(() => rig.batches.length >= 100, 'a hundred batches');
    expect(
      rig.batches
        .slice(10, 100)
        .map(sum)
        .toSorted((a, b) => a - b)
        .at(80),
    ).toBeLessThanOrEqual(4 * ROW_BYTES);
    expect(positions.length).toBeGreaterThan(15);
    expect(new Set(positions)).toEqual(new Set([0]));
  });

  it('still serves busy rows while rows with small messages could fill the slab', async () => {
    // Two entries a batch and a slab of one share: the tightest that can be asked for.
    rig = new Rig(16, { slabBytes: 4096, rowBytes: 4096, maxEvents: 2 });
    const busy = await busyRows(rig, 3, BYTES_PER_ROW);
    const quiet = await rig.connectSeveral(4);
    rig.onBatch = () => {
      if (rig.batches.length < 300) for (const { client } of quiet) client.write('?');
    };
    const all = [...busy, ...quiet];
    rig.watchAll(all);
    await rig.until(() => busy.every(({ slot }) => rig.received(slot).length === BYTES_PER_ROW), 'busy rows');
    await rig.until(() => quiet.every(({ slot }) => rig.received(slot).length > 0), 'quiet rows');
    expect(rig.batches.length).toBeLessThan(200);
  });

  it('gives the whole slab to a row that is busy alone', async () => {
    rig = new Rig();
    const row = (await busyRows(rig, 1, BYTES_PER_ROW)).at(0);
    rig.poller.watch(row!.slot, Interest.readable);
    await rig.event(row!.slot, PollFlag.data);
    expect(rig.batches[0]).toMatchObject([{ length: BYTES_PER_ROW }]);
  });

  it.each([
    ['unwatched', (slot: number) => rig.poller.unwatch(slot)],
    ['paused', (slot: number) => rig.poller.setInterest(slot, Interest.paused)],
    ['asked for writability only', (slot: number) => rig.poller.setInterest(slot, Interest.writable)],
    ['closed', (slot: number) => rig.poller.close(slot)],
    ['of another generation', (slot: number) => rig.generations.set([1], slot)],
  ])('forgets kept rows that are %s', async (_, leave) => {
    rig = new Rig(24, { slabBytes: 4096 });
    const rows = await busyRows(rig, 20, ROW_BYTES);
    let served: number[] = [];
    rig.onBatch = (batch) => {
      if (served.length > 0) return;
      served = batch.map(({ slot }) => slot);
      for (const { slot } of rows) leave(slot);
    };
    rig.watchAll(rows);
    await rig.settle();
    expect(served.length).toBe(1);
    const data = rig.batches.flat().filter(({ slot, flags }) => slot < 20 && (flags & PollFlag.data) !== 0);
    expect(data).toHaveLength(1);
  });

  it('reports writability of a row whose bytes must wait', async () => {
    rig = new Rig(24, { slabBytes: 4096 });
    const rows = await busyRows(rig, 20, 2 * ROW_BYTES);
    const last = rows.at(-1)!.slot;
    for (const { slot } of rows) {
      rig.poller.watch(slot, slot === last ? Interest.readable + Interest.writable : Interest.readable);
    }
    await rig.until(() => rig.batches.length > 0, 'a batch');
    const first = rig.batches.at(0)!.filter(({ slot }) => slot === last);
    expect(first).toMatchObject([{ flags: PollFlag.writable }]);
    expect(outstandingBytes(rig.fds.at(last)!)).toBe(0);
    rig.poller.setInterest(last, Interest.readable);
    await rig.until(() => rig.received(last).length === 2 * ROW_BYTES, 'its bytes');
  });
});
