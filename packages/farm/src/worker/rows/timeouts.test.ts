import { seededRandom } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TimeoutKind, Timeouts } from './timeouts.ts';

const DURATIONS = { handshake: 100, upgrade: 200, message: 100, quiet: 50, closing: 300, http: 1000 };
const { handshake, upgrade, message, quiet, closing, http, none } = TimeoutKind;

let expired: string[];
let timeouts: Timeouts;
let onExpired: (slot: number, kind: number) => void;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  expired = [];
  onExpired = () => undefined;
  timeouts = new Timeouts(1000, DURATIONS);
  timeouts.connect({
    timeoutOnExpired(slot, kind) {
      expired.push(`${slot}:${kind}`);
      onExpired(slot, kind);
    },
  });
});
afterEach(() => {
  timeouts.stop();
  vi.useRealTimers();
});

/** What expires within so many ms. A timer may come a millisecond late. */
function after(ms: number): string[] {
  expired = [];
  vi.advanceTimersByTime(ms);
  return expired;
}

describe('a timeout', () => {
  it('expires once, after its time', () => {
    timeouts.set(3, handshake);
    expect(timeouts.kind(3)).toBe(handshake);
    expect(after(99)).toEqual([]);
    expect(after(2)).toEqual([`3:${handshake}`]);
    expect(timeouts.kind(3)).toBe(none);
    expect(after(10_000)).toEqual([]);
  });

  it('that is cleared does not expire', () => {
    timeouts.set(3, handshake);
    timeouts.clear(3);
    timeouts.clear(3);
    expect(timeouts.kind(3)).toBe(none);
    expect(after(1000)).toEqual([]);
  });

  it('takes the place of the one before, of the same kind or another', () => {
    timeouts.set(1, handshake);
    timeouts.set(2, handshake);
    vi.advanceTimersByTime(60);
    timeouts.set(1, handshake);
    timeouts.set(2, closing);
    expect(after(45)).toEqual([]);
    expect(after(56)).toEqual([`1:${handshake}`]);
    expect(after(200)).toEqual([`2:${closing}`]);
  });

  it('of one kind expires in the order in which it was set', () => {
    for (const slot of [5, 1, 9, 0]) timeouts.set(slot, message);
    expect(after(101)).toEqual([`5:${message}`, `1:${message}`, `9:${message}`, `0:${message}`]);
  });

  it('may be removed from the beginning, the middle and the end', () => {
    for (const slot of [0, 1, 2, 3, 4]) timeouts.set(slot, message);
    timeouts.clear(0);
    timeouts.clear(2);
    timeouts.clear(4);
    timeouts.set(5, message);
    expect(after(101)).toEqual([`1:${message}`, `3:${message}`, `5:${message}`]);
  });

  it('is the first of its kind when it has waited longest', () => {
    expect(timeouts.first(quiet)).toBe(-1);
    for (const slot of [5, 1, 0]) timeouts.set(slot, quiet);
    timeouts.set(9, message);
    expect(timeouts.first(quiet)).toBe(5);
    timeouts.set(5, quiet);
    expect(timeouts.first(quiet)).toBe(1);
    timeouts.clear(1);
    expect(timeouts.first(quiet)).toBe(0);
    expect(timeouts.first(handshake)).toBe(-1);
  });

  it('of a short kind does not wait for a long one that was set before', () => {
    timeouts.set(0, http);
    timeouts.set(1, upgrade);
    timeouts.set(2, quiet);
    expect(after(51)).toEqual([`2:${quiet}`]);
    expect(after(150)).toEqual([`1:${upgrade}`]);
    expect(after(800)).toEqual([`0:${http}`]);
  });

  it('may be set by what another one does, also to the same row', () => {
    onExpired = (slot, kind) => {
      if (kind === handshake) timeouts.set(slot, closing);
      if (kind === closing) timeouts.set(slot + 1, quiet);
    };
    timeouts.set(0, handshake);
    expect(after(101)).toEqual([`0:${handshake}`]);
    expect(after(301)).toEqual([`0:${closing}`]);
    expect(after(51)).toEqual([`1:${quiet}`]);
  });

  it('may be cleared by what another one does', () => {
    onExpired = (slot) => timeouts.clear(slot + 1);
    timeouts.set(0, message);
    timeouts.set(1, message);
    timeouts.set(2, message);
    expect(after(200)).toEqual([`0:${message}`, `2:${message}`]);
  });

  it('costs no timer: all of them share one', () => {
    for (let slot = 0; slot < 1000; slot++) timeouts.set(slot, slot % 2 === 0 ? http : closing);
    expect(vi.getTimerCount()).toBe(1);
    for (let slot = 0; slot < 1000; slot++) timeouts.clear(slot);
    expect(after(1001)).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not come after stop()', () => {
    timeouts.set(0, message);
    timeouts.stop();
    timeouts.set(1, quiet);
    expect(after(1000)).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('agrees with a plain list, whatever is set and cleared', () => {
    const durations = [0, 100, 200, 100, 50, 300, 1000];
    const model = new Map<number, { kind: number; deadline: number }>();
    const random = seededRandom(7);
    onExpired = (slot, kind) => {
      const expected = model.get(slot);
      expect(expected?.kind).toBe(kind);
      const late = performance.now() - (expected?.deadline ?? 0);
      expect(late).toBeGreaterThanOrEqual(0);
      expect(late).toBeLessThanOrEqual(2);
      model.delete(slot);
    };
    for (let step = 0; step < 5000; step++) {
      const slot = random(50);
      const choice = random(10);
      if (choice < 5) {
        const kind = 1 + random(6);
        timeouts.set(slot, kind);
        model.set(slot, { kind, deadline: performance.now() + (durations[kind] ?? 0) });
      } else if (choice < 7) {
        timeouts.clear(slot);
        model.delete(slot);
      } else {
        vi.advanceTimersByTime(random(20));
      }
      expect(timeouts.kind(slot)).toBe(model.get(slot)?.kind ?? none);
    }
    vi.advanceTimersByTime(1100);
    expect(model.size).toBe(0);
  });
});
