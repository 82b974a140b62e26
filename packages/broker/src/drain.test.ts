import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Drain } from './drain.ts';

describe('Drain', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  it('ends every wait with true when the last publish has its outcome, and leaves no timer', async () => {
    const drain = new Drain();
    const waits = [drain.wait(), drain.wait()];
    drain.finish();
    expect(await Promise.all(waits)).toEqual([true, true]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('ends a wait with false after a second, and others later', async () => {
    const drain = new Drain();
    const first = drain.wait();
    await vi.advanceTimersByTimeAsync(999);
    const second = drain.wait();
    await vi.advanceTimersByTimeAsync(1);
    expect(await first).toBe(false);
    drain.finish();
    expect(await second).toBe(true);
  });
});
