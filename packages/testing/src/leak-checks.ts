import { TestingError } from './errors.ts';
import { eventually } from './eventually.ts';
import { runningFixtures } from './fixtures.ts';
import { livingChildren } from './process-group.ts';

/** Ends take a moment to be seen; what is still there after this long was left behind, in ms. */
const GRACE_MS = 2_000;

/**
 * Asserts after each test file that nothing started through this package was left running, names what was,
 * and ends it so that it does not disturb the next file. For a setup file of vitest:
 *
 * ```ts
 * import { afterAll } from 'vitest';
 * import { installLeakChecks } from '@roost/testing';
 * installLeakChecks(afterAll);
 * ```
 *
 * `afterAll` is handed in so that this package does not depend on the runner. Hooks of a setup file run
 * after those of the test file, so a fixture stopped in `afterAll` is not taken for a leak.
 */
export function installLeakChecks(afterAll: (check: () => Promise<void>) => void): void {
  // Not the function itself: vitest takes a first parameter for a request of fixtures.
  afterAll(() => assertNoLeaks());
}

/** Rejects with `TESTING_LEAK` when a fixture or a child process of this package still runs. */
export async function assertNoLeaks(graceMs: number = GRACE_MS): Promise<void> {
  try {
    await eventually(() => runningFixtures().length === 0 && livingChildren().length === 0, {
      deadlineMs: graceMs,
      what: 'nothing is left running',
    });
  } catch {
    const fixtures = runningFixtures();
    const children = livingChildren();
    for (const fixture of fixtures) fixture.terminate();
    for (const pid of children) process.kill(pid, 'SIGKILL');
    const left = [...fixtures.map(({ what }) => what), ...children.map((pid) => `process ${pid}`)];
    throw new TestingError('TESTING_LEAK', `Left running by this test file: ${left.join(', ')}.`);
  }
}
