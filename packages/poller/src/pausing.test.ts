import { constants } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { busyShare, Rig } from './fixtures/rig.ts';
import { Interest, PollFlag } from './index.ts';

describe('a paused row', () => {
  let rig: Rig;
  beforeEach(() => {
    rig = new Rig();
  });
  afterEach(() => rig.dispose());

  it('reports no data until it is resumed', async () => {
    const { client, slot } = await rig.join();
    expect(rig.poller.setInterest(slot, Interest.paused)).toBe(0);
    client.write('kept in the kernel');
    await rig.settle();
    expect(rig.of(slot)).toEqual([]);
    expect(rig.poller.setInterest(slot, Interest.readable)).toBe(0);
    await rig.event(slot, PollFlag.data);
    expect(String(rig.received(slot))).toBe('kept in the kernel');
  });

  it('reports FIN once, and reads what came before it when resumed', async () => {
    const { client, slot } = await rig.join();
    rig.poller.setInterest(slot, Interest.paused);
    client.end('last words');
    await rig.event(slot, PollFlag.peerEnded);
    await rig.settle();
    expect(rig.of(slot).map(({ flags }) => flags)).toEqual([PollFlag.peerEnded]);
    expect(rig.poller.setInterest(slot, Interest.readable)).toBe(0);
    await rig.event(slot, PollFlag.end);
    expect(rig.of(slot).map(({ flags }) => flags)).toEqual([PollFlag.peerEnded, PollFlag.data, PollFlag.end]);
    expect(String(rig.received(slot))).toBe('last words');
  });

  it('reports a reset once and does not spin', async () => {
    const { client, slot } = await rig.join();
    rig.poller.setInterest(slot, Interest.paused);
    client.resetAndDestroy();
    await rig.event(slot, PollFlag.hangup);
    await rig.settle();
    expect(rig.of(slot).map(({ flags }) => flags)).toEqual([PollFlag.hangup]);
    rig.poller.setInterest(slot, Interest.readable);
    expect((await rig.event(slot, PollFlag.error)).length).toBe(constants.errno.ECONNRESET);
  });

  it('may be watched from the start, as during an asynchronous upgrade', async () => {
    const { client, slot } = await rig.connect();
    expect(rig.poller.watch(slot, Interest.paused)).toBe(0);
    client.resetAndDestroy();
    await rig.event(slot, PollFlag.hangup);
    rig.poller.close(slot);
    expect(rig.fds[slot]).toBe(-1);
  });

  it('costs the event loop nothing while nobody resumes it', async () => {
    const { client, slot } = await rig.join();
    rig.poller.setInterest(slot, Interest.paused);
    client.resetAndDestroy();
    await rig.event(slot, PollFlag.hangup);
    expect(await busyShare()).toBeLessThan(0.5);
  });
});
