/**
 * What a worker that gives rows away does, as a function of what happens: no sockets, timers or memory are seen here, so that a
 * spec can go through every order of events (protocol.test.ts). `source.ts` does what it says.
 *
 *     greeting ─hello─► idle ─chosen─► planned ─held─► frozen ─mark─► captured ─taken─► idle
 *                        ▲ └ nothing ─► leaving ─left─► ended             │  └ refused: resumed ─► idle
 *                        └────── refused, lost, late ────┴────────────────┴─ late: condemned ─ reaped: resumed ─► ended
 *
 * planned, frozen: nothing has changed for anybody yet, so the batch may be dropped. captured: the target may have the rows. Only
 * its word, or its death, says whose they are.
 */
export type SourceStage =
  | 'greeting'
  | 'idle'
  | 'planned'
  | 'frozen'
  | 'captured'
  | 'condemned'
  | 'leaving'
  | 'ended';

export interface SourceState {
  readonly at: SourceStage;
  readonly batch: number;
  /** The pair was read to its end: nothing is to be expected of the target. */
  readonly isDrained: boolean;
  /** The master has reaped the target. */
  readonly isReaped: boolean;
  /** The batch under way is the last. */
  readonly isStopping: boolean;
}

export type SourceEvent =
  | { readonly type: 'hello' }
  /** Rows were chosen for a batch, or there are none. */
  | { readonly type: 'chosen'; readonly batch: number }
  | { readonly type: 'nothing' }
  | { readonly type: 'held'; readonly batch: number }
  | { readonly type: 'taken'; readonly batch: number }
  | { readonly type: 'refused'; readonly batch: number }
  /** The source's own mark has come back, and no publication was missed since it was sent. */
  | { readonly type: 'mark'; readonly batch: number }
  /** Publications may have been missed, or the mark was not sent. */
  | { readonly type: 'lost'; readonly batch: number }
  | { readonly type: 'late'; readonly batch: number }
  | { readonly type: 'stop' }
  | { readonly type: 'left' }
  | { readonly type: 'drained' }
  | { readonly type: 'reaped' };

export type SourceCommand =
  /** Choose rows for the next batch, at once or after a pause. */
  | 'choose'
  | 'chooseLater'
  /** Tell the target which channels are coming. */
  | 'plan'
  /** Tell the target to forget it. */
  | 'drop'
  /** Forget the plan here. */
  | 'forget'
  /** Stop reading, and send the mark. */
  | 'freeze'
  /** Read on. */
  | 'unfreeze'
  /** Write the rows down, take them out of their channels, give them to the target, and keep what is published from here on. */
  | 'capture'
  /** They are the target's. */
  | 'depart'
  /** They are still here: deliver what was kept, and go on. */
  | 'resume'
  /** The master is to kill the target. */
  | 'condemn'
  | 'leave'
  | 'end';

export const SOURCE_START: SourceState = {
  at: 'greeting',
  batch: 0,
  isDrained: false,
  isReaped: false,
  isStopping: false,
};

type Step = readonly [SourceState, readonly SourceCommand[]];

export function sourceStep(state: SourceState, event: SourceEvent): Step {
  if (state.at === 'ended') return [state, []];
  // What concerns a batch that is over is of no interest any more.
  if ('batch' in event && event.type !== 'chosen' && event.batch !== state.batch) return [state, []];
  if (event.type === 'stop') return stopped(state);
  if (event.type === 'drained' || event.type === 'reaped') {
    return alone({
      ...state,
      isDrained: state.isDrained || event.type === 'drained',
      isReaped: state.isReaped || event.type === 'reaped',
    });
  }
  switch (state.at) {
    case 'greeting':
      if (event.type === 'hello') return next(state);
      return event.type === 'late' ? to(state, 'ended', 'end') : [state, []];
    case 'idle':
      if (event.type === 'chosen') return [{ ...state, at: 'planned', batch: event.batch }, ['plan']];
      return event.type === 'nothing' ? to(state, 'leaving', 'leave') : [state, []];
    case 'planned':
      if (event.type === 'held') return to(state, 'frozen', 'freeze');
      if (event.type === 'refused') return again(state, 'forget');
      return event.type === 'late' || event.type === 'lost' ? again(state, 'drop', 'forget') : [state, []];
    case 'frozen':
      if (event.type === 'mark') return to(state, 'captured', 'capture');
      if (event.type === 'refused') return again(state, 'unfreeze');
      return event.type === 'late' || event.type === 'lost' ? again(state, 'drop', 'unfreeze') : [state, []];
    case 'captured':
    case 'condemned':
      return outcome(state, event);
    default:
      return event.type === 'left' || event.type === 'late' ? to(state, 'ended', 'end') : [state, []];
  }
}

function outcome(state: SourceState, event: SourceEvent): Step {
  const isCondemned = state.at === 'condemned';
  if (event.type === 'taken') {
    // A target that is killed all the same takes no more.
    return isCondemned ? to(state, 'leaving', 'depart', 'leave') : next(state, 'depart');
  }
  if (event.type === 'refused') {
    return isCondemned ? to(state, 'leaving', 'resume', 'leave') : again(state, 'resume');
  }
  return event.type === 'late' && !isCondemned ? to(state, 'condemned', 'condemn') : [state, []];
}

/** The target says nothing more, or is dead, or both. */
function alone(state: SourceState): Step {
  const { at, isDrained, isReaped } = state;
  switch (at) {
    case 'planned':
      return to(state, 'ended', 'forget', 'end');
    case 'frozen':
      return to(state, 'ended', 'unfreeze', 'end');
    case 'captured':
    case 'condemned':
      // What it has said before it died has been read, and it did not say that it has them.
      if (isDrained && isReaped) return to(state, 'ended', 'resume', 'end');
      return at === 'captured' && !isReaped ? to(state, 'condemned', 'condemn') : [state, []];
    default:
      return to(state, 'ended', 'end');
  }
}

function stopped(state: SourceState): Step {
  const stopping = { ...state, isStopping: true };
  switch (state.at) {
    case 'greeting':
    case 'idle':
      return to(stopping, 'leaving', 'leave');
    case 'planned':
      return to(stopping, 'leaving', 'drop', 'forget', 'leave');
    default:
      return [stopping, []];
  }
}

function to(state: SourceState, at: SourceStage, ...commands: SourceCommand[]): Step {
  return [{ ...state, at }, commands];
}

function next(state: SourceState, ...commands: SourceCommand[]): Step {
  return state.isStopping
    ? to(state, 'leaving', ...commands, 'leave')
    : to(state, 'idle', ...commands, 'choose');
}

/** The batch did not move; there may be another try. */
function again(state: SourceState, ...commands: SourceCommand[]): Step {
  return state.isStopping
    ? to(state, 'leaving', ...commands, 'leave')
    : to(state, 'idle', ...commands, 'chooseLater');
}
