import { assertNever } from '../../link/assert-never.ts';
import type { MoveSide } from '../../link/messages.ts';

/** Where one side of a move is: it takes part, has taken leave, or its process is dead. */
type SideState = 'moving' | 'ended' | 'dead';

/** One move as the master sees it. `condemned`: the side whose death the other has asked for. */
export interface MoveState {
  readonly source: SideState;
  readonly target: SideState;
  readonly condemned: MoveSide | undefined;
}

/** What happens to it. `needsDeath`: the other side asks for the death of `side`, which does not answer. */
export type MoveEvent =
  | { readonly type: 'ended'; readonly side: MoveSide }
  | { readonly type: 'died'; readonly side: MoveSide }
  | { readonly type: 'needsDeath'; readonly side: MoveSide }
  | { readonly type: 'stop' };

/** What the master does: see to the death of a side (see Condemned), or tell a side to stop, or that the other one is dead. */
export type MoveAction =
  | { readonly type: 'condemn'; readonly side: MoveSide }
  | { readonly type: 'tell'; readonly side: MoveSide; readonly what: 'moveStop' | 'moveDead' };

export interface MoveStep {
  readonly state: MoveState;
  readonly actions: readonly MoveAction[];
}

export const MOVE_BEGINNING: MoveState = { source: 'moving', target: 'moving', condemned: undefined };

/** Both sides have left it, or are dead. */
export function isMoveOver({ source, target }: MoveState): boolean {
  return source !== 'moving' && target !== 'moving';
}

/**
 * The next state of a move, and what the master does then.
 *
 * A side that stays must know of the other's death: only then it may take rows back, or keep those that it was offered. A side
 * that does not answer is killed, never bypassed; if it answers before that, the move ends by itself. If both ask for the death of the other, the first is believed: one of them
 * must live.
 */
export function nextMoveStep(state: MoveState, event: MoveEvent): MoveStep {
  switch (event.type) {
    case 'ended':
      return {
        state: state[event.side] === 'moving' ? withSide(state, event.side, 'ended') : state,
        actions: [],
      };
    case 'died': {
      if (state[event.side] === 'dead') return { state, actions: [] };
      const other = otherSide(event.side);
      const actions: readonly MoveAction[] =
        state[other] === 'moving' ? [{ type: 'tell', side: other, what: 'moveDead' }] : [];
      return { state: withSide(state, event.side, 'dead'), actions };
    }
    case 'needsDeath': {
      const asking = otherSide(event.side);
      if (state[asking] !== 'moving' || state.condemned !== undefined) return { state, actions: [] };
      // It has died, and was told so before it asked.
      if (state[event.side] === 'dead') return { state, actions: [] };
      return { state: { ...state, condemned: event.side }, actions: [{ type: 'condemn', side: event.side }] };
    }
    case 'stop':
      return {
        state,
        actions: state.source === 'moving' ? [{ type: 'tell', side: 'source', what: 'moveStop' }] : [],
      };
    default:
      return assertNever(event);
  }
}

export function otherSide(side: MoveSide): MoveSide {
  return side === 'source' ? 'target' : 'source';
}

function withSide(state: MoveState, side: MoveSide, to: SideState): MoveState {
  return { ...state, [side]: to };
}
