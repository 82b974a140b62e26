import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Counters } from '../counters.ts';
import { Collection } from './collection.ts';
import type { Core } from './core.ts';

/** Far more than a tenth of the heap of this process. */
const WAVE = 4 * 1024 * 1024 * 1024;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => void vi.useRealTimers());

interface Rig {
  readonly awake: { count: number; discardedBytes: number };
  readonly inboundBuffer: { freedBytes: number };
  /** How many collections were asked for in so many seconds. */
  after(seconds: number): number;
}

function makeRig(): Rig {
  const awake = { count: 0, discardedBytes: 0 };
  const inboundBuffer = { freedBytes: 0 };
  const counters = new Counters();
  const collect = vi.fn();
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the parts of a core that it asks.
  const core = { awake, inboundBuffer, counters } as unknown as Core;
  const collection = new Collection(core, collect);
  return {
    awake,
    inboundBuffer,
    after(seconds) {
      const before = collect.mock.calls.length;
      for (let second = 0; second < seconds; second++) {
        vi.advanceTimersByTime(1000);
        collection.step();
      }
      expect(counters.get('collections')).toBe(collect.mock.calls.length);
      return collect.mock.calls.length - before;
    },
  };
}

describe('a collection', () => {
  it('comes twice after a wave of hibernations, when no more come', () => {
    const rig = makeRig();
    expect(rig.after(10)).toBe(0);
    for (let second = 1; second <= 5; second++) {
      rig.awake.discardedBytes += WAVE;
      expect(rig.after(1)).toBe(0);
    }
    expect(rig.after(1)).toBe(1);
    expect(rig.after(1)).toBe(1);
    expect(rig.after(100)).toBe(0);
  });

  it('comes after many half-arrived frames, too', () => {
    const rig = makeRig();
    rig.inboundBuffer.freedBytes += WAVE;
    expect(rig.after(10)).toBe(2);
  });

  it('comes although a few go on hibernating', () => {
    const rig = makeRig();
    rig.awake.discardedBytes += WAVE;
    rig.after(1);
    rig.awake.discardedBytes += 1000;
    expect(rig.after(1)).toBe(1);
  });

  it('does not come for little', () => {
    const rig = makeRig();
    rig.awake.discardedBytes += 1_000_000;
    expect(rig.after(10)).toBe(0);
  });

  it('does not come while many are awake: it would take long', () => {
    const rig = makeRig();
    rig.awake.discardedBytes += WAVE;
    rig.awake.count = 1001;
    expect(rig.after(10)).toBe(0);
    rig.awake.count = 1000;
    expect(rig.after(10)).toBe(2);
  });

  it('does not come for what is small beside the heap', () => {
    const rig = makeRig();
    rig.awake.discardedBytes += 1024 * 1024;
    expect(rig.after(10)).toBe(0);
  });

  it('comes once in five seconds at most', () => {
    const rig = makeRig();
    rig.awake.discardedBytes += WAVE;
    expect(rig.after(3)).toBe(2);
    rig.awake.discardedBytes += WAVE;
    expect(rig.after(3)).toBe(0);
    expect(rig.after(1)).toBe(1);
    expect(rig.after(10)).toBe(1);
  });
});
