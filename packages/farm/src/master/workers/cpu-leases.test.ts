import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Counters } from '../../api/counters.ts';
import { CpuLeases } from './cpu-leases.ts';
import { throwingGuard } from '../fixtures/throwing-guard.ts';

const LEASE_MS = 250;

describe('the workers of a CPU', () => {
  let counters: Counters;
  let leases: CpuLeases;
  /** Names of workers, in the order in which their leases came. */
  let begun: string[];

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    counters = new Counters();
    leases = new CpuLeases(LEASE_MS, counters, throwingGuard());
    begun = [];
  });
  afterEach(() => {
    leases.stop();
    expect(vi.getTimerCount(), 'timers after stop()').toBe(0);
    vi.useRealTimers();
  });

  function worker(name: string, cpu = 0): { readonly cpu: number; send(message: unknown): void } {
    return {
      cpu,
      send: (message) => {
        expect(message).toEqual({ type: 'lease' });
        begun.push(name);
      },
    };
  }

  it('have their leases one at a time, in the order in which they asked', () => {
    const [one, two, three] = [worker('one'), worker('two'), worker('three')];
    for (const each of [one, two, three]) leases.ask(each);
    expect(begun).toEqual(['one']);
    leases.leave(one);
    expect(begun).toEqual(['one', 'two']);
    leases.leave(two);
    expect(begun).toEqual(['one', 'two', 'three']);
    leases.leave(three);
    leases.ask(one);
    expect(begun).toEqual(['one', 'two', 'three', 'one']);
  });

  it('wait for nobody on another CPU', () => {
    leases.ask(worker('one', 0));
    leases.ask(worker('other', 1));
    expect(begun).toEqual(['one', 'other']);
  });

  it('go to the end when they ask for more, and on at once when nobody else waits', () => {
    const [one, two] = [worker('one'), worker('two')];
    leases.ask(one);
    leases.ask(one);
    expect(begun).toEqual(['one', 'one']);
    leases.ask(two);
    leases.ask(one);
    expect(begun).toEqual(['one', 'one', 'two']);
    leases.leave(two);
    expect(begun).toEqual(['one', 'one', 'two', 'one']);
  });

  it('do not wait for one that is gone, whether it had the lease or waited', () => {
    const [one, two, three] = [worker('one'), worker('two'), worker('three')];
    for (const each of [one, two, three]) leases.ask(each);
    leases.leave(two);
    leases.leave(one);
    expect(begun).toEqual(['one', 'three']);
  });

  it('wait no longer than twice broadcastTurnMs for one that does not say that it is done', () => {
    const [stuck, two, three] = [worker('stuck'), worker('two'), worker('three')];
    for (const each of [stuck, two, three]) leases.ask(each);
    vi.advanceTimersByTime(2 * LEASE_MS - 1);
    expect(begun).toEqual(['stuck']);
    vi.advanceTimersByTime(1);
    expect(begun).toEqual(['stuck', 'two']);
    expect(counters.get('broadcast_turns_expired')).toBe(1);
    // What it says now is about a lease that is over.
    leases.leave(stuck);
    expect(begun).toEqual(['stuck', 'two']);
    leases.ask(stuck);
    leases.leave(two);
    leases.leave(three);
    expect(begun).toEqual(['stuck', 'two', 'three', 'stuck']);
  });
});
