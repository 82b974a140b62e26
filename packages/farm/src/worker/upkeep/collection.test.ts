import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Counters } from '../../api/counters.ts';
import { Collection } from './collection.ts';

const MIB = 1024 * 1024;
/** Far more than a tenth of the heap. */
const WAVE = 8 * MIB;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => void vi.useRealTimers());

interface Rig {
  readonly awake: { count: number; discardedBytes: number };
  readonly inboundBuffer: { freedBytes: number };
  readonly heap: { total_heap_size: number; used_heap_size: number; external_memory: number };
  /** So many connections open. */
  open(count: number): void;
  /** How many collections were asked for in so many seconds. */
  after(seconds: number): number;
}

/** A worker that has just started. */
function makeNewRig(): Rig {
  const awake = { count: 0, discardedBytes: 0 };
  const inboundBuffer = { freedBytes: 0 };
  const heap = { total_heap_size: 10 * MIB, used_heap_size: 8 * MIB, external_memory: 2 * MIB };
  const counters = new Counters();
  const collect = vi.fn();
  const collection = new Collection({ awake, inboundBuffer, counters, collect, measure: () => heap });
  return {
    awake,
    inboundBuffer,
    heap,
    open: (count) => counters.add('upgrades', count),
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

/** A worker whose start is over. */
function makeRig(): Rig {
  const rig = makeNewRig();
  rig.after(10);
  return rig;
}

describe('a collection', () => {
  it('comes five seconds after the start, when its garbage has been collected once', () => {
    const rig = makeNewRig();
    expect(rig.after(4)).toBe(0);
    expect(rig.after(1)).toBe(1);
    expect(rig.after(100)).toBe(0);
  });

  it('does not come after the start when the heap is large, which is the application’s', () => {
    const rig = makeNewRig();
    rig.heap.used_heap_size = 65 * MIB;
    expect(rig.after(100)).toBe(0);
    rig.heap.used_heap_size = 60 * MIB;
    expect(rig.after(100)).toBe(0);
  });

  it('comes twice after a wave of hibernations, when no more come', () => {
    const rig = makeRig();
    for (let second = 1; second <= 5; second++) {
      rig.awake.discardedBytes += WAVE;
      expect(rig.after(1)).toBe(0);
    }
    expect(rig.after(1)).toBe(1);
    expect(rig.after(4)).toBe(0);
    expect(rig.after(1)).toBe(1);
    expect(rig.after(100)).toBe(0);
  });

  it('comes twice after a wave of handshakes that the heap has grown by', () => {
    const rig = makeRig();
    for (let second = 1; second <= 5; second++) {
      rig.open(1000);
      rig.heap.total_heap_size += MIB;
      expect(rig.after(1)).toBe(0);
    }
    expect(rig.after(10)).toBe(2);
    expect(rig.after(100)).toBe(0);
  });

  it('does not come after handshakes that have left nothing, or after few of them', () => {
    const rig = makeRig();
    rig.open(10_000);
    expect(rig.after(10)).toBe(0);
    const other = makeRig();
    other.open(999);
    other.heap.total_heap_size += WAVE;
    expect(other.after(10)).toBe(0);
  });

  it('does not come soon while a steady stream of connections opens', () => {
    const rig = makeRig();
    rig.heap.total_heap_size += WAVE;
    for (let second = 1; second < 100; second++) {
      rig.open(50);
      expect(rig.after(1)).toBe(0);
    }
  });

  it('waits with the second one for the end of the next wave', () => {
    const rig = makeRig();
    rig.awake.discardedBytes += WAVE;
    expect(rig.after(2)).toBe(1);
    for (let second = 1; second <= 10; second++) {
      rig.open(1000);
      expect(rig.after(1)).toBe(0);
    }
    expect(rig.after(2)).toBe(0);
    expect(rig.after(1)).toBe(1);
  });

  it('waits while connections open in bursts, with a second or two between', () => {
    const rig = makeRig();
    for (let burst = 1; burst <= 10; burst++) {
      rig.open(1000);
      rig.heap.total_heap_size += WAVE;
      expect(rig.after(3)).toBe(0);
    }
    expect(rig.after(1)).toBe(1);
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
    rig.awake.discardedBytes += MIB - 1;
    rig.heap.used_heap_size = 0;
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
    rig.awake.discardedBytes += MIB;
    rig.heap.used_heap_size = 9 * MIB;
    expect(rig.after(10)).toBe(0);
  });

  it('waits with the second one while the worker has much else to do', () => {
    const rig = makeRig();
    rig.awake.discardedBytes += WAVE;
    expect(rig.after(2)).toBe(1);
    let second = 0;
    const cpuUsage = vi.spyOn(process, 'cpuUsage');
    cpuUsage.mockImplementation(() => ({ user: ++second * 1_000_000, system: 0 }));
    expect(rig.after(20)).toBe(0);
    cpuUsage.mockImplementation(() => ({ user: second * 1_000_000, system: 0 }));
    expect(rig.after(1)).toBe(1);
    cpuUsage.mockRestore();
  });

  it('comes once in five seconds at most', () => {
    const rig = makeRig();
    rig.awake.discardedBytes += WAVE;
    expect(rig.after(2)).toBe(1);
    rig.awake.discardedBytes += WAVE;
    expect(rig.after(4)).toBe(0);
    expect(rig.after(1)).toBe(1);
    rig.awake.discardedBytes += WAVE;
    expect(rig.after(4)).toBe(0);
    expect(rig.after(1)).toBe(1);
  });
});
