import { deserialize, serialize } from 'node:v8';
import type { TailStep } from '../states/leaving.ts';
import type { MovingParts } from './moving-parts.ts';

/** What the application may have replaced of a connection that was on its way. */
export interface TailState {
  readonly attachment: unknown;
  readonly session: Uint8Array | undefined;
  readonly user: string | undefined;
  readonly ticksLeft: number | undefined;
}

/** What is still to be done with the row at a place of a batch. */
export type TailOfRow = readonly [index: number, steps: readonly TailStep[], state: TailState | undefined];

/** Does with a connection what the application wanted done while it was on its way. */
export function doTail(
  { table, attachments, sessions, users, deadlines, connections }: MovingParts,
  slot: number,
  steps: readonly TailStep[],
  state: TailState | undefined,
): void {
  if (slot === -1) return;
  const generation = table.generation(slot);
  if (state !== undefined) {
    attachments.set(slot, inMemoryOfItsOwn(state.attachment));
    sessions.set(slot, state.session);
    if (users.userOf(slot) !== state.user) users.set(slot, state.user);
    if (state.ticksLeft === undefined) deadlines.set(slot, undefined);
    else deadlines.adopt(slot, state.ticksLeft);
  }
  for (const step of steps) {
    if (!table.isCurrent(slot, generation)) return;
    if (step.do === 'send') connections.send(slot, step.opcode, step.data);
    else if (step.do === 'terminate') connections.terminate(slot);
    else if (step.isOwn) connections.closeOwn(slot, step.code, step.reason);
    else connections.close(slot, step.code, step.reason);
  }
}

/** Bytes in an attachment are views of the message that it came with, and would keep all of that. */
function inMemoryOfItsOwn(attachment: unknown): unknown {
  return typeof attachment === 'object' && attachment !== null
    ? deserialize(serialize(attachment))
    : attachment;
}
