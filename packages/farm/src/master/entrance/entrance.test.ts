import { ADDRESS_BYTES } from '@roost/poller';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FLAG_RESERVED } from '../../link/hand-off-record.ts';
import { Counters } from '../../api/counters.ts';
import { resolveOptions } from '../../options/options.ts';
import { Arrivals } from './arrivals.ts';
import { Entrance, type EntranceWorker } from './entrance.ts';
import { throwingGuard } from '../fixtures/throwing-guard.ts';

const CAPACITY = 10;
const RESERVED = 4;
const LIMITS = { maxUnacknowledged: 1000, cpus: 1, arrivals: new Arrivals() };

/** A worker that only counts; nothing is sent to a process. */
class CountedWorker implements EntranceWorker {
  readonly id = 0;
  readonly capacity = CAPACITY;
  readonly room = 1000;
  readonly limited = 0;
  readonly unacknowledged = 0;
  readonly isLagging = false;
  connections = 0;
  releasedAt = Number.NEGATIVE_INFINITY;
  reserved = 0;

  give({ flags }: { readonly flags: number }): void {
    this.connections++;
    if ((flags & FLAG_RESERVED) !== 0) this.reserved++;
  }

  giveRun({ count, flags }: { readonly count: number; readonly flags: number }): void {
    for (let index = 0; index < count; index++) this.give({ flags });
  }

  offer(): boolean {
    return true;
  }

  flush(): void {
    // There is nobody to send to.
  }

  updateLag(): void {
    // It never lags.
  }
}

function entranceOf(worker: CountedWorker): Entrance {
  const options = { app: '/none', maxConnections: 1000, reservedConnections: RESERVED };
  return new Entrance(
    resolveOptions(options, 1, 'test'),
    [worker],
    new Counters(),
    LIMITS,
    () => false,
    throwingGuard(),
  );
}

function accept(entrance: Entrance, count: number): void {
  entrance.accepted(new Int32Array(count), count, new Uint8Array(count * ADDRESS_BYTES));
}

describe('a full farm', () => {
  afterEach(() => void vi.restoreAllMocks());

  it('has no more room than places as long as there is one, so that nobody of a batch is refused', () => {
    const worker = new CountedWorker();
    const entrance = entranceOf(worker);
    expect(entrance.room()).toBe(CAPACITY);
    accept(entrance, CAPACITY - 1);
    expect(entrance.room()).toBe(1);
    expect(worker.reserved).toBe(0);
  });

  it('refuses out of the reserve', () => {
    const worker = new CountedWorker();
    const entrance = entranceOf(worker);
    accept(entrance, CAPACITY);
    expect(entrance.room()).toBe(RESERVED);
    accept(entrance, RESERVED);
    expect(worker.reserved).toBe(RESERVED);
    expect(entrance.room()).toBe(0);
  });

  it('accepts nobody while connections are ending, and then gives their places', () => {
    const worker = new CountedWorker();
    const entrance = entranceOf(worker);
    accept(entrance, CAPACITY);
    worker.releasedAt = performance.now();
    expect(entrance.room()).toBe(0);
    worker.connections -= 3;
    expect(entrance.room()).toBe(3);
    accept(entrance, 3);
    expect(worker.reserved).toBe(0);
  });

  it('does not wait for connections that have ended a while ago', () => {
    const worker = new CountedWorker();
    const entrance = entranceOf(worker);
    accept(entrance, CAPACITY);
    worker.releasedAt = performance.now() - 101;
    expect(entrance.room()).toBe(RESERVED);
  });

  it('waits a second at most, however many end', () => {
    const worker = new CountedWorker();
    const entrance = entranceOf(worker);
    accept(entrance, CAPACITY);
    const fullSince = performance.now();
    worker.releasedAt = fullSince;
    expect(entrance.room()).toBe(0);
    vi.spyOn(performance, 'now').mockReturnValue(fullSince + 1001);
    worker.releasedAt = fullSince + 1000;
    expect(entrance.room()).toBe(RESERVED);
  });
});
