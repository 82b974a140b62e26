import { assertNever } from '../../link/assert-never.ts';
import type { MoveResult } from './moves.ts';

/** How many rows the new life must serve first, for `probationMs`. */
export const PROBATION_ROWS = 16;
/** A new life that dies before it serves is started once more. */
const MAX_STARTS = 2;
/** How often a move goes on that both sides have left alive. */
const MAX_MOVES = 5;

/** Where the replacement of one life by another is. */
export interface ReloadState {
  readonly step: 'starting' | 'proving' | 'probation' | 'moving' | 'retiring' | 'done' | 'stopped';
  /** Lives that were started. */
  readonly starts: number;
  /** Moves that were begun in this step. */
  readonly moves: number;
  /** The old life is no more, before its time: there is nothing to move, and nothing to go back to. */
  readonly isOldDead: boolean;
  /** Why it stopped. */
  readonly reason: string;
}

export type ReloadEvent =
  /** The new life is ready, with its broker. `missing`: apps that only the old one has, with connections. */
  | { readonly type: 'serving'; readonly missing: readonly string[] }
  | { readonly type: 'newDied'; readonly reason: string }
  | { readonly type: 'oldDied' }
  | { readonly type: 'moveEnded'; readonly result: MoveResult }
  | { readonly type: 'probationOver' };

/**
 * What is to be done: start a new life; move so many rows to it; wait for `probationMs`; give it the sockets (`succeed`), or
 * give them to the old life again (`keepOld`); have the old life end what is left (`retire`), or the new one, if it has no
 * connection (`dismiss`).
 */
export type ReloadAction =
  | { readonly type: 'start' | 'wait' | 'succeed' | 'keepOld' | 'retire' | 'dismiss' }
  | { readonly type: 'move'; readonly rows: number | 'all' };

export interface ReloadStep {
  readonly state: ReloadState;
  readonly actions: readonly ReloadAction[];
}

/** The first step of a place whose worker is replaced. */
export const RELOAD_BEGINNING: ReloadStep = {
  state: { step: 'starting', starts: 1, moves: 0, isOldDead: false, reason: '' },
  actions: [{ type: 'start' }],
};

/** The first step where the new life serves already, as a canary. */
export const RELOAD_OF_CANARY: ReloadStep = {
  state: { step: 'moving', starts: 1, moves: 1, isOldDead: false, reason: '' },
  actions: [{ type: 'succeed' }, { type: 'move', rows: 'all' }],
};

/**
 * The next step of a place whose worker is replaced.
 *
 *     starting ─► proving ─► probation ─► moving ─► retiring ─► done
 *        │           │           │           │
 *        └───────────┴───────────┴───────────┴─► stopped
 *
 * Until the probation is over a new life gets no socket from the listener, and 16 connections of the old one at most: that is
 * what one costs that dies in its first second. Whatever stops it, the old life keeps, or gets again, what it can serve; and
 * nothing is moved back: what has moved is served by the new life, if that lives. The death of the old life ends its own
 * connections only, which the tally of the change counts: the new one takes its place.
 */
export function nextReloadStep(state: ReloadState, event: ReloadEvent): ReloadStep {
  if (state.step === 'done' || state.step === 'stopped') return { state, actions: [] };
  switch (event.type) {
    case 'serving':
      return served(state, event.missing);
    case 'newDied':
      return newDied(state, event.reason);
    case 'oldDied':
      return oldDied(state);
    case 'moveEnded':
      return moveEnded(state, event.result);
    case 'probationOver':
      if (state.step !== 'probation') return { state, actions: [] };
      return {
        state: { ...state, step: 'moving', moves: 1 },
        actions: [{ type: 'succeed' }, { type: 'move', rows: 'all' }],
      };
    default:
      return assertNever(event);
  }
}

function served(state: ReloadState, missing: readonly string[]): ReloadStep {
  if (state.step !== 'starting') return { state, actions: [] };
  if (state.isOldDead) return { state: { ...state, step: 'done' }, actions: [] };
  if (missing.length > 0) {
    const reason = `The new application has no ${missing.join(', ')}, which has connections: they would have nobody to serve them.`;
    return { state: stopped(state, reason), actions: [{ type: 'dismiss' }] };
  }
  return {
    state: { ...state, step: 'proving', moves: 1 },
    actions: [{ type: 'move', rows: PROBATION_ROWS }],
  };
}

function newDied(state: ReloadState, reason: string): ReloadStep {
  switch (state.step) {
    case 'starting':
      // Without an old life the place starts new ones itself, as after any death.
      if (state.isOldDead) return { state: stopped(state, `The new worker died: ${reason}.`), actions: [] };
      if (state.starts < MAX_STARTS) {
        return { state: { ...state, starts: state.starts + 1 }, actions: [{ type: 'start' }] };
      }
      return {
        state: stopped(state, `The new worker did not start, ${MAX_STARTS} times: ${reason}.`),
        actions: [],
      };
    case 'proving':
    case 'probation':
      return { state: stopped(state, 'The new worker died in its probation.'), actions: [] };
    case 'moving':
      return {
        state: stopped(state, 'The new worker died while connections moved to it.'),
        actions: [{ type: 'keepOld' }],
      };
    // What had moved died with it, as in any crash. The old life has nothing that it could give away.
    default:
      return { state, actions: [] };
  }
}

function oldDied(state: ReloadState): ReloadStep {
  switch (state.step) {
    case 'starting':
      return { state: { ...state, isOldDead: true }, actions: [{ type: 'succeed' }] };
    case 'proving':
    case 'probation':
      return { state: { ...state, step: 'done', isOldDead: true }, actions: [{ type: 'succeed' }] };
    default:
      return { state: { ...state, step: 'done', isOldDead: true }, actions: [] };
  }
}

function moveEnded(state: ReloadState, { reason, moved, left }: MoveResult): ReloadStep {
  // A death is reported by itself.
  if ((state.step !== 'proving' && state.step !== 'moving') || reason === 'dead')
    return { state, actions: [] };
  const isDone = reason === 'done' || reason === 'empty';
  if (isDone && state.step === 'proving') {
    return { state: { ...state, step: 'probation' }, actions: [{ type: 'wait' }] };
  }
  // What was being upgraded, or was still on its way from the listener, can move by now.
  const hasStragglers = left > 0 && moved > 0 && state.moves < MAX_MOVES;
  if (isDone && !hasStragglers) {
    return { state: { ...state, step: 'retiring' }, actions: [{ type: 'retire' }] };
  }
  const rows = state.step === 'proving' ? PROBATION_ROWS : 'all';
  // While the broker is away nobody can say where to cut. It is waited for, and no try is used up.
  if (reason === 'broker') {
    return { state: { ...state, moves: Math.max(2, state.moves) }, actions: [{ type: 'move', rows }] };
  }
  if (isDone || (state.moves < MAX_MOVES && !FINAL.has(reason))) {
    return { state: { ...state, moves: state.moves + 1 }, actions: [{ type: 'move', rows }] };
  }
  const why = WHY[reason];
  return {
    state: stopped(
      state,
      `The move of connections ended, ${why}; ${left === 1 ? 'one is' : `${left} are`} still with the old worker.`,
    ),
    actions: state.step === 'proving' ? [{ type: 'dismiss' }] : [],
  };
}

/** Another move would come to the same. */
const FINAL: ReadonlySet<MoveResult['reason']> = new Set(['stopped', 'attachment', 'app']);

const WHY: Readonly<Record<Exclude<MoveResult['reason'], 'done' | 'empty' | 'dead' | 'broker'>, string>> = {
  stopped: 'because it was stopped',
  marks: 'because the broker takes no marks, or does not say who it is ("roost doctor" says what is missing)',
  full: 'because the new worker had no room or no descriptors left',
  server: 'because the two workers are connected to different Redis servers',
  timeout: 'because it did not answer in time (moveTimeoutMs)',
  attachment:
    'because attachments cannot be serialised, or not be read by the new worker (see the log, and the hook handover)',
  app: 'because the new application has no app of their name',
  busy: 'because they changed their channels whenever they were to go (hook handover)',
};

function stopped(state: ReloadState, reason: string): ReloadState {
  return { ...state, step: 'stopped', reason };
}
