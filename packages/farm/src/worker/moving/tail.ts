import type { TailStep } from '../states/leaving.ts';
import { attachmentFromBytes } from './attachment-bytes.ts';
import type { MovingParts } from './moving-parts.ts';

/** What the application may have replaced of a connection that was on its way. */
export interface TailState {
  /** Serialised. Undefined when it cannot be: the connection keeps the one with which it left. */
  readonly attachment: Uint8Array | undefined;
  readonly session: Uint8Array | undefined;
  readonly user: string | undefined;
  readonly ticksLeft: number | undefined;
}

/** What is still to be done with the row at a place of a batch. */
export type TailOfRow = readonly [index: number, steps: readonly TailStep[], state: TailState | undefined];

/** Does with a connection what the application wanted done while it was on its way. */
export function doTail(
  parts: MovingParts,
  slot: number,
  steps: readonly TailStep[],
  state: TailState | undefined,
): void {
  if (slot === -1) return;
  const { table, sessions, users, deadlines, connections } = parts;
  const generation = table.generation(slot);
  if (state !== undefined) {
    if (state.attachment !== undefined) replaceAttachment(parts, slot, state.attachment);
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

function replaceAttachment({ attachments, counters }: MovingParts, slot: number, bytes: Uint8Array): void {
  try {
    attachments.set(slot, attachmentFromBytes(bytes));
  } catch {
    // Written by a newer V8: the connection is here already, with the one that it had.
    counters.add('moves_left_attachment');
  }
}
