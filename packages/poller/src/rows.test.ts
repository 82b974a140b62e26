import { once } from 'node:events';
import { constants } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Rig } from './fixtures/rig.ts';
import { Interest, PollFlag } from './index.ts';

const { EBADF, ENOENT, ECONNRESET, EPIPE } = constants.errno;

const BYTE = Buffer.alloc(1);

describe('a row of the poller', () => {
  let rig: Rig;
  beforeEach(() => {
    rig = new Rig();
  });
  afterEach(() => rig.dispose());

  it('reports the bytes of several rows in one batch, each once', async () => {
    const rows = await rig.connectSeveral(3);
    for (const { client, slot } of rows) {
      client.write(`from ${slot}`);
      rig.generations[slot] = -5 - slot;
    }
    rig.watchAll(rows);
    await rig.until(() => rig.batches.length > 0, 'a batch');
    expect(
      rig.batches
        .at(0)!
        .map(({ slot, generation, flags, bytes }) => [slot, generation, flags, String(bytes)]),
    ).toEqual(rows.map(({ slot }) => [slot, -5 - slot, PollFlag.data, `from ${slot}`]));
  });

  it('sends from an offset and answers the bytes taken', async () => {
    const { client, slot } = await rig.join();
    expect(rig.poller.send(slot, Buffer.from('..hello..'), 2, 5)).toBe(5);
    expect(rig.poller.send(slot, Buffer.from('x'), 0, 0)).toBe(0);
    expect(String((await once(client, 'data'))[0])).toBe('hello');
  });

  it('answers 0 when the kernel is full and reports writable when it is not', async () => {
    const { client, slot } = await rig.join();
    await rig.fill(slot, client);
    expect(rig.poller.send(slot, BYTE, 0, 1)).toBe(0);
    expect(rig.poller.setInterest(slot, Interest.readable + Interest.writable)).toBe(0);
    await rig.settle();
    expect(rig.of(slot)).toEqual([]);
    client.resume();
    await rig.event(slot, PollFlag.writable);
    expect(rig.poller.send(slot, BYTE, 0, 1)).toBe(1);
    rig.poller.setInterest(slot, Interest.readable);
  });

  it('joins data and writable in one entry', async () => {
    const { client, slot } = await rig.connect();
    client.write('ab');
    rig.poller.watch(slot, Interest.readable + Interest.writable);
    rig.onBatch = () => rig.poller.setInterest(slot, Interest.readable);
    await rig.event(slot, PollFlag.data);
    expect(rig.of(slot)).toMatchObject([{ flags: PollFlag.data | PollFlag.writable, length: 2 }]);
  });

  it('reports the end after the last bytes, once, although nobody closes the row', async () => {
    const { client, slot } = await rig.join();
    client.end('bye');
    await rig.event(slot, PollFlag.end);
    await rig.settle();
    expect(rig.of(slot).map(({ flags }) => flags)).toEqual([PollFlag.data, PollFlag.end]);
    expect(rig.poller.send(slot, Buffer.from('late'), 0, 4)).toBe(4);
    expect(String((await once(client, 'data'))[0])).toBe('late');
  });

  it('reports writability after the end, when that was asked for', async () => {
    const { client, slot } = await rig.join();
    client.end();
    await rig.event(slot, PollFlag.end);
    expect(rig.poller.setInterest(slot, Interest.writable)).toBe(0);
    rig.onBatch = () => rig.poller.setInterest(slot, Interest.paused);
    await rig.event(slot, PollFlag.writable);
  });

  it('reports a reset of a readable row as an error with its errno, once', async () => {
    const { client, slot } = await rig.join();
    client.resetAndDestroy();
    const entry = await rig.event(slot, PollFlag.error);
    expect(entry).toMatchObject({ flags: PollFlag.error, length: ECONNRESET });
    await rig.settle();
    expect(rig.of(slot)).toHaveLength(1);
  });

  it('reports a reset of a row that is watched for writing only, once', async () => {
    const { client, slot } = await rig.connect();
    await rig.fill(slot, client);
    rig.poller.watch(slot, Interest.writable);
    client.resetAndDestroy();
    const entry = await rig.event(slot, PollFlag.error);
    expect([ECONNRESET, EPIPE]).toContain(entry.length);
    await rig.settle();
    expect(rig.of(slot)).toHaveLength(1);
    expect([-ECONNRESET, -EPIPE]).toContain(rig.poller.send(slot, BYTE, 0, 1));
  });

  it('sends FIN with shutdownWrite and keeps reading', async () => {
    const { client, slot } = await rig.join();
    expect(rig.poller.shutdownWrite(slot)).toBe(0);
    client.resume();
    await once(client, 'end');
    client.write('still here');
    await rig.event(slot, PollFlag.data);
    expect(String(rig.received(slot))).toBe('still here');
    expect(rig.poller.send(slot, Buffer.from('x'), 0, 1)).toBe(-EPIPE);
  });

  it('reports nothing after unwatch and leaves the descriptor open', async () => {
    const { client, slot } = await rig.join();
    expect(rig.poller.unwatch(slot)).toBe(0);
    expect(rig.poller.unwatch(slot)).toBe(-ENOENT);
    client.write('unheard');
    await rig.settle();
    expect(rig.of(slot)).toEqual([]);
    expect(rig.poller.watch(slot, Interest.readable)).toBe(0);
    await rig.event(slot, PollFlag.data);
    expect(String(rig.received(slot))).toBe('unheard');
  });

  it('reports no event to a generation that it was not watched for', async () => {
    const { client, slot } = await rig.join();
    rig.generations[slot] = 1;
    client.write('for generation 0');
    await rig.settle();
    expect(rig.of(slot)).toEqual([]);
    // Watching under the new one delivers what was never read.
    rig.poller.setInterest(slot, Interest.readable);
    expect(await rig.event(slot, PollFlag.data)).toMatchObject({ generation: 1 });
  });

  it('answers -EBADF for a slot without a descriptor', () => {
    expect(rig.poller.send(5, Buffer.from('x'), 0, 1)).toBe(-EBADF);
    expect(rig.poller.unwatch(5)).toBe(-EBADF);
    expect(rig.poller.setInterest(5, Interest.readable)).toBe(-EBADF);
    expect(rig.poller.shutdownWrite(5)).toBe(-EBADF);
    expect(() => rig.poller.close(5)).not.toThrow();
  });
});
