import { describe, expect, it } from 'vitest';
import { nextRefuge, nextTransfer } from './even-out.ts';

function loadsOf(...connections: readonly number[]): { connections: number; capacity: number }[] {
  return connections.map((count) => ({ connections: count, capacity: 20_000 }));
}

/** Does what it is told until nothing is to be done. */
function evened(loads: { connections: number; capacity: number }[]): { moves: number; most: number } {
  let moves = 0;
  for (let transfer = nextTransfer(loads); transfer !== undefined; transfer = nextTransfer(loads)) {
    loads.at(transfer.from)!.connections -= transfer.rows;
    loads.at(transfer.to)!.connections += transfer.rows;
    if (++moves > 10_000) throw new Error('it never ends');
  }
  return { moves, most: Math.max(...loads.map(({ connections }) => connections)) };
}

describe('evening out', () => {
  it('moves nothing where loads are even, or where there is one', () => {
    expect(nextTransfer(loadsOf(100, 100, 101))).toBeUndefined();
    expect(nextTransfer(loadsOf(10_000, 10_050))).toBeUndefined();
    expect(nextTransfer(loadsOf(10_000))).toBeUndefined();
    expect(nextTransfer([])).toBeUndefined();
    expect(nextTransfer(loadsOf(0, 0))).toBeUndefined();
  });

  it('fills an empty worker in few moves, to less than 2 %', () => {
    const loads = loadsOf(15_000, 15_000, 0, 0, 0, 0);
    const { moves, most } = evened(loads);
    expect(most).toBeLessThanOrEqual(5100);
    expect(moves).toBeLessThanOrEqual(8);
  });

  it('ends for any loads, and leaves none above 2 % more than the mean', () => {
    let seed = 7;
    const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    for (let round = 0; round < 200; round++) {
      const loads = loadsOf(
        ...Array.from({ length: 2 + Math.floor(random() * 20) }, () => Math.floor(random() * 20_000)),
      );
      const mean = loads.reduce((sum, { connections }) => sum + connections, 0) / loads.length;
      expect(evened(loads).most).toBeLessThanOrEqual(Math.ceil(mean * 1.02) + 1);
    }
  });

  it('gives nobody more than it takes', () => {
    const loads = [
      { connections: 1000, capacity: 2000 },
      { connections: 10, capacity: 50 },
    ];
    evened(loads);
    expect(loads.map(({ connections }) => connections)).toEqual([960, 50]);
  });
});

describe('a refuge', () => {
  it('is the emptiest, for as many as make it as full as all will be', () => {
    expect(nextRefuge(loadsOf(100, 40), 100)).toEqual({ to: 1, rows: 80 });
    expect(nextRefuge(loadsOf(0, 0), 101)).toEqual({ to: 0, rows: 51 });
  });

  it('is nobody who is full', () => {
    expect(nextRefuge([{ connections: 5, capacity: 5 }], 3)).toBeUndefined();
    expect(
      nextRefuge(
        [
          { connections: 5, capacity: 5 },
          { connections: 9, capacity: 10 },
        ],
        3,
      ),
    ).toEqual({ to: 1, rows: 1 });
  });

  it('is not needed for nothing', () => {
    expect(nextRefuge(loadsOf(1), 0)).toBeUndefined();
  });
});
