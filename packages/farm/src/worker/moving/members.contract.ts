import { afterEach, expect, it } from 'vitest';
import type { HarnessOptions, WorkerHarness } from '../fixtures/worker-harness.ts';
import type { Side } from './fixtures/move-rig.ts';
import { RoomsRig } from './fixtures/rooms-rig.ts';

/** What the members of a channel are told when a worker dies in mid-move, whatever carries it. */
export interface MembersContract {
  /** Made anew for each spec: the options of both workers, and more of the target. */
  optionsOf(): Promise<readonly [both: HarnessOptions, target: HarnessOptions]>;
  /** The way of a worker to the broker ends without a word, as with its process. */
  cut(side: Side): Promise<void>;
  /** The one that lives has removed what the dead one had. */
  removed(by: WorkerHarness): Promise<void>;
  end(): Promise<void>;
}

/** Call it inside a `describe`. */
export function describeMembers(contract: MembersContract): void {
  let rooms: RoomsRig;

  async function start(): Promise<void> {
    rooms = await RoomsRig.start(...(await contract.optionsOf()));
  }

  /** Dies without a goodbye: nobody knows of it but by the end of its lease. */
  async function kill(side: Side, options = { hasSaid: false }): Promise<void> {
    await contract.cut(side);
    await rooms.rig.kill(side, options);
    rooms.rig.reaped(side);
  }

  afterEach(async () => {
    await rooms.end();
    await contract.end();
  });

  it('are told of nobody when the source dies behind the batch: the target has them as members already', async () => {
    await start();
    const { rig } = rooms;
    rig.begin();
    rig.fromSource.holdAt('batch');
    await rig.heard('source', 'batch');
    await kill('source', { hasSaid: true });
    expect(await rig.ended('target')).toMatchObject([{ reason: 'dead', moved: 1, closed: 0 }]);
    // The one in the room, and the observer; what the source counted is gone with it.
    await contract.removed(rig.target);
    await rooms.counts('target', 2, 2);
    await rooms.passBy('target');
    await rooms.has('ada', 'bob');
    expect(rooms.changes).toEqual(['+eve', '-eve']);
  });

  it('are told of nobody when the source dies with the answer unread', async () => {
    await start();
    const { rig } = rooms;
    rig.begin();
    rig.fromTarget.holdAt('taken');
    await rig.heard('target', 'taken');
    await kill('source');
    await rig.ended('target');
    await contract.removed(rig.target);
    await rooms.counts('target', 2, 2);
    await rooms.passBy('target');
    await rooms.has('ada', 'bob');
    expect(rooms.changes).toEqual(['+eve', '-eve']);
  });

  it('are told once of who is gone when the source dies before the batch', async () => {
    await start();
    const { rig } = rooms;
    rig.begin();
    rig.fromSource.holdAt('batch');
    await rig.heard('source', 'batch');
    await kill('source');
    expect(await rig.ended('target')).toMatchObject([{ reason: 'dead', moved: 0 }]);
    await contract.removed(rig.target);
    await rooms.counts('target', 1, 1);
    await rooms.passBy('target');
    expect(rooms.changes).toEqual(['-ada', '+eve', '-eve']);
  });

  it('are told of nobody but those who end with it when the target dies before its word', async () => {
    await start();
    const { rig, guest } = rooms;
    rig.begin();
    rig.fromSource.holdAt('batch');
    await rig.heard('source', 'batch');
    await kill('target');
    expect(await rig.ended('source')).toMatchObject([{ reason: 'dead', moved: 0, left: 1 }]);
    // The observer was the target's. Who moved is what it was.
    await contract.removed(rig.source);
    await rooms.counts('source', 1, 1);
    expect([...(guest.members.get('room') ?? [])]).toEqual(['ada']);
    expect(guest.mistakes).toEqual([]);
  });
}
