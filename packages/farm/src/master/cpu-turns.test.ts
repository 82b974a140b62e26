import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Counters } from '../counters.ts';
import { CpuTurns } from './cpu-turns.ts';
import { throwingGuard } from './throwing-guard.contract.ts';

const TURN_MS = 250;

describe('the workers of a CPU', () => {
  let counters: Counters;
  let turns: CpuTurns;
  /** Names of workers, in the order in which their turns came. */
  let begun: string[];

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    counters = new Counters();
    turns = new CpuTurns(TURN_MS, counters, throwingGuard());
    begun = [];
  });
  afterEach(() => {
    turns.stop();
    expect(vi.getTimerCount(), 'timers after stop()').toBe(0);
    vi.useRealTimers();
  });

  function worker(name: string, cpu = 0): { readonly cpu: number; send(message: unknown): void } {
    return {
      cpu,
      send: (message) => {
        expect(message).toEqual({ type: 'turn' });
        begun.push(name);
      },
    };
  }

  it('have their turns one at a time, in the order in which they asked', () => {
    const [one, two, three] = [worker('one'), worker('two'), worker('three')];
    for (const each of [one, two, three]) turns.ask(each);
    expect(begun).toEqual(['one']);
    turns.leave(one);
    expect(begun).toEqual(['one', 'two']);
    turns.leave(two);
    expect(begun).toEqual(['one', 'two', 'three']);
    turns.leave(three);
    turns.ask(one);
    expect(begun).toEqual(['one', 'two', 'three', 'one']);
  });

  it('wait for nobody on another CPU', () => {
    turns.ask(worker('one', 0));
    turns.ask(worker('other', 1));
    expect(begun).toEqual(['one', 'other']);
  });

  it('go to the end when they ask for more, and on at once when nobody else waits', () => {
    const [one, two] = [worker('one'), worker('two')];
    turns.ask(one);
    turns.ask(one);
    expect(begun).toEqual(['one', 'one']);
    turns.ask(two);
    turns.ask(one);
    expect(begun).toEqual(['one', 'one', 'two']);
    turns.leave(two);
    expect(begun).toEqual(['one', 'one', 'two', 'one']);
  });

  it('do not wait for one that is gone, whether it had the turn or waited', () => {
    const [one, two, three] = [worker('one'), worker('two'), worker('three')];
    for (const each of [one, two, three]) turns.ask(each);
    turns.leave(two);
    turns.leave(one);
    expect(begun).toEqual(['one', 'three']);
  });

  it('wait no longer than twice broadcastTurnMs for one that does not say that it is done', () => {
    const [stuck, two, three] = [worker('stuck'), worker('two'), worker('three')];
    for (const each of [stuck, two, three]) turns.ask(each);
    vi.advanceTimersByTime(2 * TURN_MS - 1);
    expect(begun).toEqual(['stuck']);
    vi.advanceTimersByTime(1);
    expect(begun).toEqual(['stuck', 'two']);
    expect(counters.get('broadcast_turns_expired')).toBe(1);
    // What it says now is about a turn that is over.
    turns.leave(stuck);
    expect(begun).toEqual(['stuck', 'two']);
    turns.ask(stuck);
    turns.leave(two);
    turns.leave(three);
    expect(begun).toEqual(['stuck', 'two', 'three', 'stuck']);
  });
});
