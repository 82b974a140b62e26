import { describe, expect, it } from 'vitest';
import type { MoveResult } from './moves.ts';
import {
  nextReloadStep,
  PROBATION_ROWS,
  RELOAD_BEGINNING,
  RELOAD_OF_CANARY,
  type ReloadAction,
  type ReloadEvent,
  type ReloadState,
  type ReloadStep,
} from './reload-steps.ts';

const SERVING: ReloadEvent = { type: 'serving', missing: [] };
const NEW_DIED: ReloadEvent = { type: 'newDied', reason: 'it throws' };
const OLD_DIED: ReloadEvent = { type: 'oldDied' };
const OVER: ReloadEvent = { type: 'probationOver' };

function moved(reason: MoveResult['reason'], left = 0): ReloadEvent {
  return { type: 'moveEnded', result: { reason, moved: 1, left, closed: 0, unsaid: 0 } };
}

const UP_TO_PROVING = [SERVING];
const UP_TO_PROBATION = [SERVING, moved('done')];
const UP_TO_MOVING = [SERVING, moved('done'), OVER];
const UP_TO_RETIRING = [SERVING, moved('done'), OVER, moved('done')];

function after(events: readonly ReloadEvent[], from: ReloadStep = RELOAD_BEGINNING): ReloadStep {
  return events.reduce((step, event) => nextReloadStep(step.state, event), from);
}

function actionsOf(events: readonly ReloadEvent[]): readonly ReloadAction[] {
  return after(events).actions;
}

describe('the reload of a place', () => {
  it('starts a new worker, proves it with 16 connections, and moves the others when it has lived for a while', () => {
    expect(RELOAD_BEGINNING.actions).toEqual([{ type: 'start' }]);
    expect(actionsOf(UP_TO_PROVING)).toEqual([{ type: 'move', rows: PROBATION_ROWS }]);
    expect(actionsOf(UP_TO_PROBATION)).toEqual([{ type: 'wait' }]);
    expect(actionsOf(UP_TO_MOVING)).toEqual([{ type: 'succeed' }, { type: 'move', rows: 'all' }]);
    expect(actionsOf(UP_TO_RETIRING)).toEqual([{ type: 'retire' }]);
    expect(after([...UP_TO_RETIRING, OLD_DIED]).state.step).toBe('done');
  });

  it('needs no connection for that', () => {
    expect(after([SERVING, moved('empty'), OVER, moved('empty'), OLD_DIED]).state.step).toBe('done');
  });

  it('begins with a canary where that has proved itself', () => {
    expect(RELOAD_OF_CANARY.actions).toEqual([{ type: 'succeed' }, { type: 'move', rows: 'all' }]);
    expect(after([moved('done'), OLD_DIED], RELOAD_OF_CANARY).state.step).toBe('done');
  });

  it('tries once more when the new worker dies before it serves, and then keeps the old one', () => {
    expect(actionsOf([NEW_DIED])).toEqual([{ type: 'start' }]);
    const { state, actions } = after([NEW_DIED, NEW_DIED]);
    expect(state).toMatchObject({
      step: 'stopped',
      reason: 'The new worker did not start, 2 times: it throws.',
    });
    expect(actions).toEqual([]);
  });

  it('stops when the new worker dies with the connections that it was proved with', () => {
    for (const before of [UP_TO_PROVING, UP_TO_PROBATION]) {
      const { state, actions } = after([...before, NEW_DIED]);
      expect(state).toMatchObject({ step: 'stopped', reason: 'The new worker died in its probation.' });
      // It had got no socket: the old one gets them all the time.
      expect(actions).toEqual([]);
    }
  });

  it('gives the sockets to the old worker again when the new one dies while connections move', () => {
    const { state, actions } = after([...UP_TO_MOVING, NEW_DIED]);
    expect(state.step).toBe('stopped');
    expect(actions).toEqual([{ type: 'keepOld' }]);
  });

  it('stops, and dismisses the new worker, when that lacks an app with connections', () => {
    const { state, actions } = after([{ type: 'serving', missing: ['chat'] }]);
    expect(state.step).toBe('stopped');
    expect(state.reason).toContain('no chat');
    expect(actions).toEqual([{ type: 'dismiss' }]);
  });

  it('moves once more what could not move at first, as long as something does', () => {
    const stragglers = [...UP_TO_MOVING, moved('done', 3)];
    expect(actionsOf(stragglers)).toEqual([{ type: 'move', rows: 'all' }]);
    const none: ReloadEvent = {
      type: 'moveEnded',
      result: { reason: 'done', moved: 0, left: 3, closed: 0, unsaid: 0 },
    };
    expect(actionsOf([...stragglers, none])).toEqual([{ type: 'retire' }]);
  });

  it('goes on with a move that both sides have survived, some times', () => {
    const events: ReloadEvent[] = [...UP_TO_MOVING];
    for (let times = 1; times < 5; times++) {
      events.push(moved('timeout', 7));
      expect(actionsOf(events)).toEqual([{ type: 'move', rows: 'all' }]);
    }
    const { state, actions } = after([...events, moved('timeout', 7)]);
    expect(state).toMatchObject({ step: 'stopped' });
    expect(state.reason).toContain('(moveTimeoutMs); 7 are still with the old worker');
    expect(actions).toEqual([]);
  });

  it('is done with an old worker that dies before its time, whose place the new one takes', () => {
    expect(actionsOf([OLD_DIED])).toEqual([{ type: 'succeed' }]);
    expect(after([OLD_DIED, SERVING]).state.step).toBe('done');
    expect(after([...UP_TO_PROBATION, OLD_DIED])).toMatchObject({
      state: { step: 'done' },
      actions: [{ type: 'succeed' }],
    });
    expect(after([...UP_TO_MOVING, OLD_DIED]).state.step).toBe('done');
  });

  it('stops when there is no old worker left, and no new one that starts', () => {
    expect(after([OLD_DIED, NEW_DIED]).state.step).toBe('stopped');
  });

  it('waits for a broker that is away, and uses up no try', () => {
    for (const before of [UP_TO_PROVING, UP_TO_MOVING]) {
      const { state, actions } = after([...before, ...Array.from({ length: 20 }, () => moved('broker', 9))]);
      expect([state.step, actions]).toEqual([after(before).state.step, after(before).actions.slice(-1)]);
      expect(nextReloadStep(state, moved('timeout', 9)).state.step).toBe(state.step);
    }
    expect(
      after([...UP_TO_MOVING, ...Array.from({ length: 5 }, () => moved('marks'))]).state.reason,
    ).toContain('takes no marks');
  });

  it('in every order of events never costs more than the probation before its end, and retires none that has connections to move', () => {
    const events: readonly ReloadEvent[] = [
      SERVING,
      { type: 'serving', missing: ['chat'] },
      NEW_DIED,
      OLD_DIED,
      OVER,
      ...(
        ['done', 'empty', 'timeout', 'broker', 'marks', 'full', 'attachment', 'stopped', 'dead'] as const
      ).map((reason) => moved(reason, 3)),
    ];
    const seen = new Set<string>();
    const waiting: { state: ReloadState; wasProved: boolean }[] = [
      { state: RELOAD_BEGINNING.state, wasProved: false },
    ];
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      const { state, wasProved } = at;
      const key = JSON.stringify(at);
      if (seen.has(key)) continue;
      seen.add(key);
      for (const event of events) {
        const step = nextReloadStep(state, event);
        const isProved = wasProved || (event === OVER && state.step === 'probation');
        for (const action of step.actions) {
          if (action.type === 'move' && !isProved) expect(action.rows).toBe(PROBATION_ROWS);
          if (action.type === 'succeed') expect(isProved || step.state.isOldDead).toBe(true);
          if (action.type === 'retire') expect(state.step).toBe('moving');
        }
        if (state.step === 'done' || state.step === 'stopped') expect(step).toEqual({ state, actions: [] });
        if (step.state.step === 'stopped') expect(step.state.reason).not.toBe('');
        waiting.push({ state: step.state, wasProved: isProved });
      }
    }
    expect(seen.size).toBeGreaterThan(20);
  });
});
