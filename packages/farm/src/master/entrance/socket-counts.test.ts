import { describe, expect, it } from 'vitest';
import { SocketCounts } from './socket-counts.ts';

describe('the sockets of a worker', () => {
  it('are those that it was given and that moved in, less those that ended and that moved out', () => {
    const counts = new SocketCounts();
    counts.givenRun(100);
    counts.movedIn(20);
    counts.movedOut(50);
    counts.released(30, 0);
    expect(counts.connections).toBe(40);
    // Totals since its start: none counts twice.
    counts.movedIn(21);
    expect(counts.connections).toBe(41);
    counts.reset();
    expect(counts.connections).toBe(0);
  });
});
