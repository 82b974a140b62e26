/**
 * What a worker that takes rows does, as a function of what happens; see source-protocol.ts. `target.ts` does what it says.
 *
 *     idle ─plan─► holding ─subscribed─► held ─mark, batch─► offering ─told─► idle, and the rows are here
 *      ▲              │                   │                     └ untold: inheriting ─reaped─► ended, and the rows are here
 *      └── failed, dropped ───────────────┴── lost, late, dropped
 *
 * The word "taken" is the commit: the source may take everything back until it reads it. So it is said before the first byte
 * is read, and where nobody is there to hear it, the source must be dead first.
 */
type TargetStage = 'idle' | 'holding' | 'held' | 'offering' | 'inheriting' | 'ended';

export interface TargetState {
  readonly at: TargetStage;
  readonly batch: number;
  /** The mark has come: what comes behind it is kept for the batch. */
  readonly isMarked: boolean;
  /** The rows have come. */
  readonly hasArrived: boolean;
  /** The pair was read to its end: nothing is to be expected of the source. */
  readonly isDrained: boolean;
  readonly isReaped: boolean;
}

export type TargetEvent =
  | { readonly type: 'plan'; readonly batch: number }
  | { readonly type: 'subscribed'; readonly batch: number }
  | { readonly type: 'failed'; readonly batch: number }
  | { readonly type: 'mark'; readonly batch: number }
  | { readonly type: 'batch'; readonly batch: number }
  | { readonly type: 'drop'; readonly batch: number }
  /** Publications may have been missed. */
  | { readonly type: 'lost'; readonly batch: number }
  | { readonly type: 'late'; readonly batch: number }
  /** "Taken" is in the source's queue, or nobody is there. */
  | { readonly type: 'told' }
  | { readonly type: 'untold' }
  | { readonly type: 'leave' }
  | { readonly type: 'drained' }
  | { readonly type: 'reaped' };

export type TargetCommand =
  /** Subscribe to the channels that are coming. */
  | 'hold'
  | 'tellHeld'
  | 'tellRefused'
  /** Keep what is published from here on for the batch. */
  | 'keep'
  /** Say "taken", and report whether somebody heard it. */
  | 'tellTaken'
  /** Serve the rows. */
  | 'adopt'
  /** Forget what is held and kept. */
  | 'forget'
  /** Close these copies of the sockets, which are the source's. */
  | 'discard'
  /** Serve the rows, to end their connections: the source is dead, and nobody knows where they were cut. */
  | 'destroy'
  /** The master is to make sure that the source is dead. */
  | 'condemn'
  | 'tellLeft'
  | 'end';

export const TARGET_START: TargetState = {
  at: 'idle',
  batch: 0,
  isMarked: false,
  hasArrived: false,
  isDrained: false,
  isReaped: false,
};

type Step = readonly [TargetState, readonly TargetCommand[]];

export function targetStep(state: TargetState, event: TargetEvent): Step {
  if (state.at === 'ended') return [state, []];
  if (event.type === 'plan') return planned(state, event.batch);
  if (event.type === 'drained' || event.type === 'reaped') {
    return alone({
      ...state,
      isDrained: state.isDrained || event.type === 'drained',
      isReaped: state.isReaped || event.type === 'reaped',
    });
  }
  if ('batch' in event && (event.batch !== state.batch || state.at === 'idle')) {
    // Too late, and the source must know.
    return event.type === 'batch' ? [state, ['discard', 'tellRefused']] : [state, []];
  }
  switch (state.at) {
    case 'idle':
      return event.type === 'leave' ? to(state, 'ended', 'tellLeft', 'end') : [state, []];
    case 'holding':
      if (event.type === 'subscribed') return to(state, 'held', 'tellHeld');
      if (event.type === 'drop') return idle(state, 'forget');
      if (event.type === 'leave') return to(state, 'ended', 'forget', 'tellLeft', 'end');
      return event.type === 'failed' || event.type === 'lost'
        ? idle(state, 'forget', 'tellRefused')
        : [state, []];
    case 'held':
      return held(state, event);
    case 'offering':
      if (event.type === 'told') return idle(state, 'adopt');
      if (event.type !== 'untold') return [state, []];
      return state.isReaped ? to(state, 'ended', 'adopt', 'end') : to(state, 'inheriting', 'condemn');
    default:
      return [state, []];
  }
}

function planned(state: TargetState, batch: number): Step {
  return state.at === 'idle' ? [{ ...state, at: 'holding', batch }, ['hold']] : [state, []];
}

function held(state: TargetState, event: TargetEvent): Step {
  const { isMarked, hasArrived } = state;
  switch (event.type) {
    case 'mark':
      if (isMarked) return [state, []];
      return hasArrived
        ? to({ ...state, isMarked: true }, 'offering', 'keep', 'tellTaken')
        : [{ ...state, isMarked: true }, ['keep']];
    case 'batch':
      return isMarked
        ? to({ ...state, hasArrived: true }, 'offering', 'tellTaken')
        : [{ ...state, hasArrived: true }, []];
    case 'lost':
    case 'late':
      // Without the source nobody else could serve them, and where they were cut will never be known.
      if (hasArrived && state.isDrained) return to(state, 'ended', 'destroy', 'forget', 'end');
      return hasArrived
        ? idle(state, 'discard', 'forget', 'tellRefused')
        : idle(state, 'forget', 'tellRefused');
    case 'drop':
      return idle(state, 'forget');
    case 'leave':
      return to(state, 'ended', 'forget', 'tellLeft', 'end');
    default:
      return [state, []];
  }
}

/** The source says nothing more, or is dead, or both. */
function alone(state: TargetState): Step {
  switch (state.at) {
    case 'idle':
      return to(state, 'ended', 'end');
    case 'holding':
      return to(state, 'ended', 'forget', 'end');
    case 'held':
      // With the rows here, the mark may still come.
      return state.hasArrived || !state.isDrained ? [state, []] : to(state, 'ended', 'forget', 'end');
    case 'inheriting':
      return state.isReaped ? to(state, 'ended', 'adopt', 'end') : [state, []];
    default:
      return [state, []];
  }
}

function to(state: TargetState, at: TargetStage, ...commands: TargetCommand[]): Step {
  return [{ ...state, at }, commands];
}

function idle(state: TargetState, ...commands: TargetCommand[]): Step {
  const { isDrained, isReaped } = state;
  // Nobody is left who could plan another one.
  if (isDrained) return [{ ...state, at: 'ended' }, [...commands, 'end']];
  return [{ ...TARGET_START, batch: state.batch, isDrained, isReaped }, commands];
}
