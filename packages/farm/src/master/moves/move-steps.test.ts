import { describe, expect, it } from 'vitest';
import {
  isMoveOver,
  MOVE_BEGINNING,
  nextMoveStep,
  otherSide,
  type MoveAction,
  type MoveEvent,
  type MoveState,
} from './move-steps.ts';

const SIDES = ['source', 'target'] as const;

function after(...events: readonly MoveEvent[]): { state: MoveState; actions: readonly MoveAction[] } {
  return events.reduce<{ state: MoveState; actions: readonly MoveAction[] }>(
    ({ state }, event) => nextMoveStep(state, event),
    { state: MOVE_BEGINNING, actions: [] },
  );
}

describe('a move as the master sees it', () => {
  it('is over when both sides have left', () => {
    expect(isMoveOver(after({ type: 'ended', side: 'target' }).state)).toBe(false);
    expect(
      isMoveOver(after({ type: 'ended', side: 'target' }, { type: 'ended', side: 'source' }).state),
    ).toBe(true);
  });

  it.each(SIDES)('tells the other side when the %s has died, and only if it still takes part', (side) => {
    const other = otherSide(side);
    expect(after({ type: 'died', side }).actions).toEqual([{ type: 'tell', side: other, what: 'moveDead' }]);
    expect(after({ type: 'ended', side: other }, { type: 'died', side }).actions).toEqual([]);
  });

  it.each(SIDES)('condemns the %s when the other side gets no answer', (side) => {
    expect(after({ type: 'needsDeath', side }).actions).toEqual([{ type: 'condemn', side }]);
  });

  it('condemns one side only when both ask for the death of the other', () => {
    const { state, actions } = after(
      { type: 'needsDeath', side: 'target' },
      { type: 'needsDeath', side: 'source' },
    );
    expect(actions).toEqual([]);
    expect(state.condemned).toBe('target');
  });

  it('asks the source to stop, which tells the target itself', () => {
    expect(after({ type: 'stop' }).actions).toEqual([{ type: 'tell', side: 'source', what: 'moveStop' }]);
  });

  it('lives through every order of events: a side that stays hears of the death of the other once, and none is condemned for one that has left', () => {
    const events: readonly MoveEvent[] = [
      ...SIDES.flatMap((side): MoveEvent[] => [
        { type: 'ended', side },
        { type: 'died', side },
        { type: 'needsDeath', side },
      ]),
      { type: 'stop' },
    ];
    const seen = new Set<string>();
    const waiting: MoveState[] = [MOVE_BEGINNING];
    for (let state = waiting.pop(); state !== undefined; state = waiting.pop()) {
      const key = JSON.stringify(state);
      if (seen.has(key)) continue;
      seen.add(key);
      for (const event of events) {
        const step = nextMoveStep(state, event);
        for (const action of step.actions) {
          // Who has left, or died, is told nothing.
          if (action.type === 'tell') expect(state[action.side]).toBe('moving');
          else {
            expect(state.condemned).toBeUndefined();
            expect(state[otherSide(action.side)]).toBe('moving');
          }
        }
        if (event.type === 'died' && state[event.side] !== 'dead') {
          const other = otherSide(event.side);
          expect(step.actions).toHaveLength(state[other] === 'moving' ? 1 : 0);
        }
        if (isMoveOver(state)) expect(isMoveOver(step.state)).toBe(true);
        waiting.push(step.state);
      }
    }
    expect(seen.size).toBeGreaterThan(20);
  });
});
