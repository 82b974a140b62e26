import { describe, expect, it } from 'vitest';
import {
  afterRelief,
  nextRebalance,
  REBALANCE_BEGINNING,
  SKEWED_MS,
  skewOf,
  type RebalanceLoad,
  type RebalanceState,
} from './rebalance-steps.ts';

type Load = { -readonly [Key in keyof RebalanceLoad]: RebalanceLoad[Key] };

const SECOND = 1000;

function loadsOf(...connections: readonly number[]): Load[] {
  return connections.map((count, id) => ({
    id,
    connections: count,
    capacity: 20_000,
    isLagging: false,
    isRefilled: false,
  }));
}

/** Looks once a second, and moves up to `rate` of what it is told. Answers how many moved in each second. */
function run(
  loads: Load[],
  seconds: number,
  {
    maxSkew = 0.1,
    rate = 500,
    change = (): void => undefined,
  }: {
    maxSkew?: number;
    rate?: number;
    change?: (second: number) => void;
  } = {},
): number[] {
  let state: RebalanceState = REBALANCE_BEGINNING;
  return Array.from({ length: seconds }, (_, second) => {
    change(second);
    const step = nextRebalance(state, loads, second * SECOND, maxSkew);
    state = step.state;
    if (step.transfer === undefined) return 0;
    const { from, to, rows } = step.transfer;
    const moved = Math.min(rows, rate);
    loads.at(from)!.connections -= moved;
    loads.at(to)!.connections += moved;
    state = afterRelief(state, moved);
    return moved;
  });
}

function sum(counts: readonly number[]): number {
  return counts.reduce((all, count) => all + count, 0);
}

describe('an automatic rebalance', () => {
  it('is off unless a skew is given', () => {
    expect(sum(run(loadsOf(10_000, 0), 120, { maxSkew: 0 }))).toBe(0);
  });

  it('begins when connections have been uneven for 30 s, and ends when half of the skew is gone', () => {
    const loads = loadsOf(6000, 4000);
    const moved = run(loads, 60);
    expect(moved.slice(0, SKEWED_MS / SECOND).every((count) => count === 0)).toBe(true);
    expect(sum(moved)).toBe(500);
    expect(skewOf(loads)).toBeCloseTo(0.1);
  });

  it('does not begin when they become even meanwhile', () => {
    const loads = loadsOf(6000, 4000);
    const change = (second: number): void => {
      loads.at(0)!.connections = second % 29 === 0 ? 4000 : 6000;
    };
    expect(sum(run(loads, 200, { change }))).toBe(0);
  });

  it('never undoes itself: whoever gave does not get, while loads do not change', () => {
    let seed = 3;
    const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    for (let round = 0; round < 100; round++) {
      const loads = loadsOf(...Array.from({ length: 4 }, () => Math.floor(random() * 10_000)));
      const gave = new Set<number>();
      const got = new Set<number>();
      let before = loads.map(({ connections }) => connections);
      run(loads, 1000, {
        change: () => {
          for (const [id, { connections }] of loads.entries()) {
            if (connections > (before[id] ?? 0)) got.add(id);
            if (connections < (before[id] ?? 0)) gave.add(id);
          }
          before = loads.map(({ connections }) => connections);
        },
      });
      expect([...gave].filter((id) => got.has(id))).toEqual([]);
      expect(skewOf(loads)).toBeLessThanOrEqual(0.1);
    }
  });

  it('moves less and less while clients come and go at random: it does not swing', () => {
    let seed = 11;
    const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    const loads = loadsOf(8000, 8000, 8000, 8000);
    // A churn of some hundred a second that leaves the mean where it is.
    const change = (): void => {
      for (const load of loads) {
        load.connections = Math.max(0, load.connections + Math.floor(random() * 41) - 20);
      }
    };
    const moved = run(loads, 100_000, { change });
    // Without a tendency there is next to nothing to do.
    expect(sum(moved) / 100_000).toBeLessThan(2);
    expect(skewOf(loads)).toBeLessThan(0.15);
  });

  it('has a worker that lags for 10 s give away a tenth, once', () => {
    const loads = loadsOf(5000, 5000, 5000);
    loads.at(1)!.isLagging = true;
    const moved = run(loads, 40);
    expect(sum(moved.slice(0, 10))).toBe(0);
    expect(sum(moved)).toBe(500);
    expect(loads.at(1)!.connections).toBe(4500);
  });
});

describe('a worker that was started again', () => {
  it('is filled at once, also where nothing is rebalanced', () => {
    const loads = loadsOf(9000, 9000, 0);
    loads.at(2)!.isRefilled = true;
    const moved = run(loads, 20, { maxSkew: 0, rate: 5000 });
    expect(moved[0]).toBeGreaterThan(0);
    expect(loads.at(2)!.connections).toBeGreaterThanOrEqual(5880);
    expect(loads.at(2)!.connections).toBeLessThanOrEqual(6000);
  });

  it('gets what others can give, whatever a third has left', () => {
    const loads = loadsOf(12_000, 100, 0);
    loads.at(2)!.isRefilled = true;
    run(loads, 20, { maxSkew: 0, rate: 5000 });
    expect(loads.at(1)!.connections).toBe(100);
    expect(loads.at(2)!.connections).toBeGreaterThan(3900);
  });
});
