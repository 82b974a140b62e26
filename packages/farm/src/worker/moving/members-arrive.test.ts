import { eventually, patient } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { accept } from '../../api/app.ts';
import { RoomClient, roomApp } from '../fixtures/rooms.ts';
import type { HarnessOptions } from '../fixtures/worker-harness.ts';
import { MoveRig } from './fixtures/move-rig.ts';

const ROOM = 'room';
const TIMEOUT_MS = patient(150);
const LIMITS = { moveTimeoutMs: TIMEOUT_MS, subscribeTimeoutMs: TIMEOUT_MS };

let rig: MoveRig;
let observer: RoomClient;
let guest: RoomClient;
afterEach(() => rig.stop());

async function start(options: HarnessOptions = {}): Promise<void> {
  const more = { occupancy: true, upgrade: () => accept({ user: 'ada' }) };
  rig = await MoveRig.start(
    [roomApp(() => rig.source.context, more), roomApp(() => rig.target.context, more)],
    options,
  );
  observer = new RoomClient(await rig.target.client());
  guest = new RoomClient(await rig.source.client());
  observer.join(ROOM, 'bob');
  await eventually(() => expect(observer.outcomes.get(1)).toBe('joined'));
  guest.join(ROOM, 'ada');
  await both('ada', 'bob');
}

/** Both know that these are in the room. */
async function both(...users: readonly string[]): Promise<void> {
  await eventually(() => {
    for (const { members } of [guest, observer])
      expect([...(members.get(ROOM) ?? [])].toSorted()).toEqual(users);
  });
  expect([...guest.mistakes, ...observer.mistakes]).toEqual([]);
}

describe('a member of a batch that was dropped', () => {
  it('while the target waited for an answer is none of the target’s', async () => {
    await start({ beyondLimits: LIMITS });
    // The number of connections of the user is on its way, so that the target waits.
    await eventually(async () => (await rig.target.context?.countUser('ada')) === 2);
    rig.target.silenceExchange();
    await rig.target.client();
    await eventually(() => rig.target.unheardCount > 0);
    const move = rig.begin();
    await rig.heard('source', 'drop');
    rig.source.send({ type: 'moveStop', move });
    await rig.ended('source');
    rig.target.resumeExchange();
    await rig.ended('target');
    await guest.client.close();
    await eventually(() => expect([...(observer.members.get(ROOM) ?? [])]).toEqual(['bob']));
  });
});

describe('a member that moves', () => {
  it('is told who is in the room after changes that had no room', async () => {
    await start({ beyondLimits: { maxMoveHeldBytes: 1 } });
    rig.begin();
    rig.fromSource.holdAt('batch');
    await rig.heard('source', 'batch');
    const visitor = new RoomClient(await rig.target.client());
    visitor.join(ROOM, 'eve');
    await eventually(() => expect(observer.members.get(ROOM)).toContain('eve'));
    rig.fromSource.go();
    await rig.ended();
    await both('ada', 'bob', 'eve');
  });
});
