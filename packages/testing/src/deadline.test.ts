import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Deadline } from './deadline.ts';
import { eventually, within } from './eventually.ts';
import { measureContention, measurePatience, patience } from './patience.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

/** How long a deadline of so many ms is waited for, in ms. */
async function waited(deadlineMs: number): Promise<number> {
  const from = performance.now();
  await expect(within(new Promise(() => {}), { deadlineMs })).rejects.toThrow('did not come true');
  return performance.now() - from;
}

describe('a deadline', () => {
  it('is as many times longer as ROOST_TEST_PATIENCE says, and its error says so', async () => {
    vi.stubEnv('ROOST_TEST_PATIENCE', '10');
    expect(await waited(30)).toBeGreaterThanOrEqual(299);
    await expect(eventually(() => false, { deadlineMs: 1 })).rejects.toThrow(
      /^Within 1 ms × 1\d\.\d \(a busy/,
    );
  });

  it('does not run while the process stands still', () => {
    vi.stubEnv('ROOST_TEST_PATIENCE', '1');
    const deadline = new Deadline(2000);
    const until = performance.now() + 600;
    while (performance.now() < until);
    expect(deadline.isOver()).toBe(false);
    expect(deadline.nextStepMs).toBe(250);
  });

  it('is put off when the machine has become busy', async () => {
    vi.stubEnv('ROOST_TEST_PATIENCE', '1');
    const loops = Array.from({ length: 2 * availableParallelism() }, () =>
      spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
    );
    try {
      await eventually(() => measureContention() > 1.7, { what: 'the loops run' });
      expect(await waited(1000)).toBeGreaterThan(1200);
    } finally {
      for (const loop of loops) loop.kill('SIGKILL');
    }
  });
});

describe('the patience of the suite', () => {
  it('is measured as a factor from 1 up, with a bound', () => {
    for (const factor of [measurePatience(), measureContention()]) {
      expect(factor).toBeGreaterThanOrEqual(1);
      expect(factor).toBeLessThanOrEqual(12);
    }
  });

  it('is 1 without ROOST_TEST_PATIENCE, and refuses what is no number above 0', () => {
    vi.stubEnv('ROOST_TEST_PATIENCE', undefined);
    expect(patience()).toBe(1);
    for (const wrong of ['', 'much', '0', '-1']) {
      vi.stubEnv('ROOST_TEST_PATIENCE', wrong);
      expect(patience).toThrow('ROOST_TEST_PATIENCE is a number above 0');
    }
  });
});
