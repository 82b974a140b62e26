import { once } from 'node:events';
import { constants } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { busyShare, Rig } from './fixtures/rig.ts';
import {
  closeDescriptor,
  duplicateDescriptor,
  Interest,
  Poller,
  PollFlag,
  resetDescriptor,
  terminateDescriptor,
} from './index.ts';

describe('closing', () => {
  let rig: Rig;
  beforeEach(() => {
    rig = new Rig();
  });
  afterEach(() => rig.dispose());

  it('ends the connection for the client and frees the slot', async () => {
    const { client, slot } = await rig.join();
    client.resume();
    rig.poller.close(slot);
    expect(rig.fds[slot]).toBe(-1);
    await once(client, 'end');
    expect(rig.poller.send(slot, Buffer.from('x'), 0, 1)).toBe(-constants.errno.EBADF);
  });

  it('ends the connection, and all its events, while another copy of the descriptor lives', async () => {
    const { client, slot } = await rig.join();
    const copy = duplicateDescriptor(rig.fds.at(slot)!);
    expect(copy).toBeGreaterThan(0);
    client.resume();
    rig.poller.close(slot);
    await once(client, 'end');
    client.write('to nobody');
    await rig.settle();
    expect(rig.of(slot)).toEqual([]);
    // An entry left in the epoll set would be reported to nobody, and wake the loop for ever.
    expect(await busyShare()).toBeLessThan(0.5);
    closeDescriptor(copy);
  });

  it('gives a reused slot only its own events', async () => {
    const first = await rig.join();
    first.client.write('of the first');
    await rig.event(first.slot, PollFlag.data);
    rig.poller.close(first.slot);
    const second = await rig.connect();
    rig.fds[first.slot] = rig.fds.at(second.slot)!;
    rig.fds[second.slot] = -1;
    rig.generations[first.slot] = 1;
    rig.poller.watch(first.slot, Interest.readable);
    second.client.write('of the second');
    await rig.until(() => rig.of(first.slot).length === 2, 'the second connection reports');
    expect(rig.of(first.slot).map(({ generation, bytes }) => [generation, String(bytes)])).toEqual([
      [0, 'of the first'],
      [1, 'of the second'],
    ]);
  });

  it('leaves other copies alone with closeDescriptor, and ends them with terminateDescriptor', async () => {
    const { client, slot } = await rig.connect();
    const first = duplicateDescriptor(rig.fds.at(slot)!);
    const second = duplicateDescriptor(rig.fds.at(slot)!);
    closeDescriptor(first);
    expect(rig.poller.send(slot, Buffer.from('alive'), 0, 5)).toBe(5);
    expect(String((await once(client, 'data'))[0])).toBe('alive');
    terminateDescriptor(second);
    client.resume();
    await once(client, 'end');
    expect(rig.poller.send(slot, Buffer.from('x'), 0, 1)).toBe(-constants.errno.EPIPE);
  });

  it('resets the connection with resetDescriptor', async () => {
    const { client, slot } = await rig.connect();
    const failed = once(client, 'error');
    resetDescriptor(rig.fds.at(slot)!);
    rig.fds[slot] = -1;
    expect((await failed)[0]).toMatchObject({ code: 'ECONNRESET' });
  });

  it('leaves the descriptors of rows open at destroy', async () => {
    const { client, slot } = await rig.join();
    rig.poller.destroy();
    const another = new Poller({ columns: rig, onEvents: () => {} });
    expect(another.send(slot, Buffer.from('alive'), 0, 5)).toBe(5);
    expect(String((await once(client, 'data'))[0])).toBe('alive');
    another.close(slot);
    another.destroy();
    client.resume();
    await once(client, 'end');
  });
});
