import { describe, expect, it } from 'vitest';
import { Placer } from './placer.ts';

const LIMITS = { maxConnections: 1_000_000, reservedConnections: 4 };

/** A worker that only counts. */
class Counted {
  connections: number;
  capacity = 20_000;
  room = 800;
  readonly isLagging = false;
  readonly limited = 0;

  constructor(connections: number) {
    this.connections = connections;
  }
}

/** Places so many, and counts them as the master does. Answers the workers in their order. */
function place(placer: Placer, workers: readonly Counted[], count: number): (number | undefined)[] {
  placer.begin(count);
  return Array.from({ length: count }, () => {
    const admitted = placer.place();
    const worker = workers[admitted?.worker ?? -1];
    if (worker !== undefined) {
      worker.connections++;
      worker.room--;
    }
    return admitted?.worker;
  });
}

describe('sockets that come together', () => {
  it('go to every worker, the same number to each, where each has a CPU', () => {
    const workers = [new Counted(1000), new Counted(1000)];
    expect(place(new Placer(workers, LIMITS, 4), workers, 6)).toEqual([0, 0, 0, 1, 1, 1]);
  });

  it('go to as many workers as there are CPUs, those with the fewest connections, where there are more workers', () => {
    const workers = [1000, 900, 1000, 800].map((connections) => new Counted(connections));
    expect(place(new Placer(workers, LIMITS, 2), workers, 7)).toEqual([3, 3, 3, 3, 3, 3, 3]);
    const even = [1000, 900, 1000, 900].map((connections) => new Counted(connections));
    expect(place(new Placer(even, LIMITS, 2), even, 7)).toEqual([1, 1, 1, 1, 3, 3, 3]);
  });

  it('leave workers even to one connection in 64', () => {
    const few = [0, 0, 0, 0].map((connections) => new Counted(connections));
    expect(place(new Placer(few, LIMITS, 2), few, 8)).toEqual([0, 1, 2, 3, 0, 1, 2, 3]);
    const some = [64, 64, 64, 64].map((connections) => new Counted(connections));
    expect(place(new Placer(some, LIMITS, 2), some, 8)).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
  });

  it('fill no worker beyond its capacity or its room', () => {
    const [full, busy, free] = [new Counted(1000), new Counted(1001), new Counted(1002)];
    full.capacity = 1002;
    busy.room = 3;
    const workers = [full, busy, free];
    expect(place(new Placer(workers, LIMITS, 1), workers, 8)).toEqual([0, 0, 1, 1, 1, 2, 2, 2]);
  });

  it('go nowhere beyond maxConnections but into the reserve', () => {
    const workers = [new Counted(1000), new Counted(1000), new Counted(1000)];
    const placer = new Placer(workers, { ...LIMITS, maxConnections: 3002 }, 1);
    placer.begin(4);
    const isReserved = Array.from({ length: 4 }, () => {
      const admitted = placer.place()!;
      workers.at(admitted.worker)!.connections++;
      return admitted.isReserved;
    });
    expect(isReserved).toEqual([false, false, true, true]);
  });

  it('are placed anew with each batch', () => {
    const workers = [new Counted(1000), new Counted(1001)];
    const placer = new Placer(workers, LIMITS, 1);
    expect(place(placer, workers, 2)).toEqual([0, 0]);
    expect(place(placer, workers, 1)).toEqual([1]);
  });

  it('wait while nobody has room', () => {
    const workers = [new Counted(1000), new Counted(1000)];
    for (const worker of workers) worker.room = 0;
    expect(place(new Placer(workers, LIMITS, 1), workers, 2)).toEqual([undefined, undefined]);
  });
});
