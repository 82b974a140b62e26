import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Rig } from './fixtures/rig.ts';
import { PollFlag } from './index.ts';

describe('the call into JavaScript', () => {
  let rig: Rig;
  beforeEach(() => {
    rig = new Rig();
  });
  afterEach(() => rig.dispose());

  it('runs nextTick and microtasks before anything else of the event loop', async () => {
    const { client, slot } = await rig.join();
    const order: string[] = [];
    const finished = new Promise<void>((resolve) => {
      rig.onBatch = () => {
        setImmediate(() => {
          order.push('immediate');
          resolve();
        });
        queueMicrotask(() => order.push('microtask'));
        process.nextTick(() => order.push('tick'));
      };
    });
    client.write('x');
    await rig.event(slot, PollFlag.data);
    await finished;
    expect(order).toEqual(['tick', 'microtask', 'immediate']);
  });

  it('may close rows of the batch that is being handled', async () => {
    const rows = await rig.connectSeveral(3);
    for (const { client } of rows) client.write('x');
    rig.onBatch = () => rows.forEach(({ slot }) => rig.poller.close(slot));
    rig.watchAll(rows);
    await rig.until(() => rig.fds.every((fd) => fd === -1), 'all rows closed');
    await rig.settle();
    expect(rows.flatMap(({ slot }) => rig.of(slot))).toHaveLength(3);
  });

  it('may destroy the poller', async () => {
    const { client, slot } = await rig.join();
    rig.onBatch = () => rig.poller.destroy();
    client.write('x');
    await rig.event(slot, PollFlag.data);
    expect(() => rig.poller.send(slot, Buffer.from('x'), 0, 1)).toThrow(
      expect.objectContaining({ code: 'POLLER_DESTROYED' }),
    );
    expect(() => rig.poller.destroy()).not.toThrow();
  });
});
