import { within } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import { newConnectionIdSecret } from '../../link/connection-id-secret.ts';
import { resolveOptions } from '../../options/options.ts';
import { Guard } from '../guard.ts';
import { Lives } from './lives.ts';
import type { SupervisionHooks } from './supervision-hooks.ts';
import type { WorkerLife } from './worker-life.ts';
import { WorkerPlace } from './worker-place.ts';

const silent = (): void => undefined;
const LOG: Log = { debug: silent, info: silent, warn: silent, error: silent, fatal: silent };
const NODE = process.execPath;

/** What timers are for. */
class SeenGuard extends Guard {
  readonly timers: string[] = [];

  override after(milliseconds: number, where: string, callback: () => void): NodeJS.Timeout {
    this.timers.push(where);
    return super.after(milliseconds, where, callback);
  }
}

/** A place for a worker where no process can be had. */
function make(): { place: WorkerPlace; guard: SeenGuard; failed: Promise<string | undefined> } {
  const counters = new Counters();
  const guard = new SeenGuard(counters, LOG);
  const parts = { config: resolveOptions({ app: '/none' }, 1, 'test'), log: LOG, counters, guard };
  const lives = new Lives();
  const facts = { cpu: null, sharesCpu: false, ids: newConnectionIdSecret() };
  let place!: WorkerPlace;
  const failed = new Promise<string | undefined>((resolve) => {
    const hooks: SupervisionHooks<WorkerLife> = {
      tls: () => null,
      workerStarted: silent,
      workerReady: silent,
      workerNotForked: (_worker, { code }) => resolve(code),
      workerFailed: silent,
      workerTimedOut: silent,
      workerHasRoom: silent,
      workerReturned: silent,
      workerReported: silent,
      workerEnded: silent,
      workerSaid: silent,
    };
    place = new WorkerPlace(0, () => facts, parts, hooks, lives);
  });
  lives.add(place);
  return { place, guard, failed };
}

beforeEach(() => {
  process.execPath = '/none/node';
});
afterEach(() => {
  process.execPath = NODE;
});

describe('a place that is closed', () => {
  it('gives no life sockets, not even one that is started then, until it is open again', () => {
    const { place } = make();
    place.start();
    expect(place.current?.admits()).toBe(true);
    place.close();
    expect(place.current?.admits()).toBe(false);
    // As after a death.
    place.start();
    expect(place.current?.admits()).toBe(false);
    place.open();
    expect(place.current?.admits()).toBe(true);
    place.start();
    expect(place.current?.admits()).toBe(true);
    place.giveUp();
  });
});

describe('a place whose worker cannot be forked', () => {
  it('tries again', async () => {
    const { place, guard, failed } = make();
    place.start();
    expect(await within(failed, { what: 'the fork fails' })).toBe('ENOENT');
    expect(place.state).toBe('failed');
    expect(guard.timers).toEqual(['starting a worker']);
    place.giveUp();
  });

  it('does not when it was given up meanwhile', async () => {
    const { place, guard, failed } = make();
    place.start();
    place.giveUp();
    expect(await within(failed, { what: 'the fork fails' })).toBe('ENOENT');
    expect(place.state).toBe('stopped');
    expect(guard.timers).toEqual([]);
  });
});
