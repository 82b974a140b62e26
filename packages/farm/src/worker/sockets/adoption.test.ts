import { writeSync } from 'node:fs';
import { connect, resetDescriptor } from '@roost/poller';
import { eventually } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { accept } from '../../api/app.ts';
import { upgradeHead, WorkerHarness } from '../fixtures/worker-harness.ts';

/** Many more than two batches of events (maxEvents of the poller): the hand-off comes some turns after the first. */
const MANY = 6000;

let harness: WorkerHarness;
afterEach(() => harness.stop());

/** Connects without an object for it: on loopback the kernel is done when connect(2) returns. */
function ask(): number {
  const fd = connect({ host: '127.0.0.1', port: harness.port });
  writeSync(fd, upgradeHead());
  return fd;
}

describe('a hand-off', () => {
  it('is acknowledged while thousands of connections end, not behind them', async () => {
    let opened = 0;
    let closed = 0;
    harness = await WorkerHarness.start(
      { upgrade: () => accept(), open: () => void opened++, close: () => void closed++ },
      { capacity: MANY + 1 },
    );
    const fds: number[] = [];
    // In portions that the listen queue holds.
    while (fds.length < MANY) {
      for (let count = 0; count < 100; count++) fds.push(ask());
      await eventually(() => opened === fds.length);
    }
    let closedBefore: number | undefined;
    harness.onAcknowledged = () => (closedBefore ??= closed);
    for (const fd of fds) resetDescriptor(fd);
    const late = ask();
    await eventually(() => opened === MANY + 1 && closedBefore !== undefined);
    expect(closedBefore).toBeLessThan(MANY);
    await eventually(() => closed === MANY);
    resetDescriptor(late);
  });
});
