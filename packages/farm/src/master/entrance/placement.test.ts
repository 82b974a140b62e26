import { describe, expect, it } from 'vitest';
import { admit } from './admission.ts';
import { fewestLimited, leastConnections, type WorkerLoad } from './placement.ts';

function load(
  connections: number,
  { capacity = 100, room = 10, isLagging = false, limited = 0 } = {},
): WorkerLoad {
  return { connections, capacity, room, isLagging, limited };
}

describe('placement', () => {
  it('chooses the worker with the fewest connections, the first of equals', () => {
    expect(leastConnections([load(3), load(1), load(2)], 0)).toBe(1);
    expect(leastConnections([load(2), load(2)], 0)).toBe(0);
  });

  it('passes over who has no room for hand-offs, or is not ready', () => {
    expect(leastConnections([load(1, { room: 0 }), load(5)], 0)).toBe(1);
    expect(leastConnections([load(1, { room: 0 }), load(5, { room: -3 })], 0)).toBe(-1);
  });

  it('gives nothing more to who is full', () => {
    expect(leastConnections([load(100), load(99)], 0)).toBe(1);
    expect(leastConnections([load(100), load(100)], 0)).toBe(-1);
    expect(leastConnections([load(5, { capacity: 5 }), load(90)], 0)).toBe(1);
  });

  it('gives beyond the capacity what a reserve allows', () => {
    expect(leastConnections([load(100), load(101)], 2)).toBe(0);
    expect(leastConnections([load(102), load(101)], 2)).toBe(1);
    expect(leastConnections([load(102), load(102)], 2)).toBe(-1);
  });

  it('gives nothing to who lags while another has room', () => {
    const lagging = { isLagging: true };
    expect(leastConnections([load(1, lagging), load(90)], 0)).toBe(1);
    expect(leastConnections([load(90), load(1, lagging)], 0)).toBe(0);
    expect(leastConnections([load(1, lagging), load(100)], 0)).toBe(0);
    expect(leastConnections([load(1, lagging), load(5, { room: 0 })], 0)).toBe(0);
    expect(leastConnections([load(9, lagging), load(4, lagging), load(7, lagging)], 0)).toBe(1);
  });

  it('leaves the reserve to limited sockets that are in it', () => {
    expect(leastConnections([load(101, { limited: 2 }), load(102)], 4)).toBe(0);
    expect(leastConnections([load(102, { limited: 2 }), load(103)], 4)).toBe(1);
    // Below the capacity they take nobody's place.
    expect(leastConnections([load(99, { limited: 4 })], 0)).toBe(0);
  });

  it('spreads a burst by the counts of the caller alone', () => {
    const loads = [
      { ...load(0), room: 1000 },
      { ...load(0), room: 1000 },
      { ...load(30), room: 1000 },
    ];
    for (let socket = 0; socket < 90; socket++) {
      const worker = loads[leastConnections(loads, 0)];
      if (worker !== undefined) worker.connections++;
    }
    expect(loads.map(({ connections }) => connections)).toEqual([40, 40, 40]);
  });

  it('has no answer without workers', () => {
    expect(leastConnections([], 0)).toBe(-1);
  });
});

describe('placement of limited sockets', () => {
  it('chooses who has the fewest, whatever else it has', () => {
    expect(fewestLimited([load(3, { limited: 2 }), load(90, { limited: 1 })], 8)).toBe(1);
  });

  it('takes half of the reserve at most, and at least one place', () => {
    expect(fewestLimited([load(3, { limited: 3 })], 8)).toBe(0);
    expect(fewestLimited([load(3, { limited: 4 })], 8)).toBe(-1);
    expect(fewestLimited([load(3)], 1)).toBe(0);
    expect(fewestLimited([load(3, { limited: 1 })], 1)).toBe(-1);
  });

  it('passes over who has no room, lags, or has given its reserve away', () => {
    expect(fewestLimited([load(3, { room: 0 })], 8)).toBe(-1);
    expect(fewestLimited([load(3, { isLagging: true })], 8)).toBe(-1);
    expect(fewestLimited([load(107)], 8)).toBe(0);
    expect(fewestLimited([load(108)], 8)).toBe(-1);
    expect(fewestLimited([load(107, { limited: 1 })], 8)).toBe(-1);
  });
});

describe('admission', () => {
  const limits = { maxConnections: 200, reservedConnections: 2 };

  it('lets in below the limits', () => {
    expect(admit([load(3), load(1)], limits)).toEqual({ worker: 1, isReserved: false });
  });

  it('lets in as reserved, at the limit of the farm, as many as there are reserved places', () => {
    expect(admit([load(100, { capacity: 150 }), load(100, { capacity: 150 })], limits)).toEqual({
      worker: 0,
      isReserved: true,
    });
    expect(admit([load(102, { capacity: 150 }), load(101, { capacity: 150 })], limits)).toEqual({
      worker: 1,
      isReserved: true,
    });
    expect(admit([load(102, { capacity: 150 }), load(102, { capacity: 150 })], limits)).toBeUndefined();
  });

  it('lets in as reserved when every worker is full', () => {
    const wide = { maxConnections: 1000, reservedConnections: 2 };
    expect(admit([load(100), load(100)], wide)).toEqual({ worker: 0, isReserved: true });
    expect(admit([load(102), load(101)], wide)).toEqual({ worker: 1, isReserved: true });
    expect(admit([load(102), load(102)], wide)).toBeUndefined();
  });

  it('makes wait, and refuses nobody, when the workers with capacity are only busy with hand-offs', () => {
    expect(admit([load(3, { room: 0 }), load(100)], limits)).toBeUndefined();
  });

  it('makes wait when no worker is ready', () => {
    expect(admit([], limits)).toBeUndefined();
    expect(admit([load(0, { room: 0, capacity: 0 })], limits)).toBeUndefined();
  });
});
