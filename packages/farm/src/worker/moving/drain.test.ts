import { readFrames, type RawClient } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { CloseCode } from '../../api/close-codes.ts';
import { poll } from '../fixtures/worker-harness.ts';
import { CLIENTS, Crowd } from './fixtures/crowd.ts';
import type { Side } from './fixtures/move-rig.ts';

let crowd: Crowd;
afterEach(() => crowd.end());

/** Has it close all connections at once. Resolves when it has closed this one, which does not answer. */
async function drain(side: Side, witness: RawClient): Promise<void> {
  crowd.rig[side].send({ type: 'drain', drainMs: 0, workers: 1 });
  await poll(() => readFrames(witness.unread).at(-1)?.first).toBe(0x88);
}

describe('a farm that drains in the middle of a move', () => {
  it('closes who arrives behind the sweep of the target', async () => {
    crowd = await Crowd.start();
    const { rig } = crowd;
    const witness = await rig.target.open('/own');
    rig.begin();
    await crowd.stopAt('source', 'batch');
    await drain('target', witness);
    rig.fromSource.go();
    expect(await rig.ended('source')).toMatchObject([{ moved: CLIENTS }]);
    await crowd.closedWith(CloseCode.goingAway);
    await witness.close();
  });

  it('closes who comes back behind the sweep of the source', async () => {
    crowd = await Crowd.start();
    const { rig } = crowd;
    const witness = await rig.source.open('/own');
    rig.begin(CLIENTS);
    await crowd.stopAt('source', 'batch');
    await drain('source', witness);
    await rig.kill('target');
    rig.reaped('target');
    expect(await rig.ended('source')).toMatchObject([{ moved: 0 }]);
    await crowd.closedWith(CloseCode.goingAway);
    await witness.close();
  });
});
