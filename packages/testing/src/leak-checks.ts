import { TestingError } from './errors.ts';
import { eventually } from './eventually.ts';
import { runningFixtures, terminateFixture } from './fixtures.ts';
import { livingChildren } from './process-group.ts';

/** Ends take a moment to be seen; what is still there after this long was left behind, in ms. */
const GRACE_MS = 2_000;

/** The hooks of vitest, handed in so that this package does not depend on the runner. */
export interface RunnerHooks {
  readonly beforeEach: (
    hook: (context: {
      readonly onTestFinished: (end: () => void) => void;
      readonly task: RunningTest;
    }) => void,
  ) => void;
  readonly aroundAll: (hook: (runSuite: () => Promise<void>) => Promise<void>) => void;
}

interface RunningTest {
  readonly result?: { readonly state: string } | undefined;
}

/**
 * Ends what a test file leaves running, whatever became of its tests and hooks. For a setup file of vitest:
 *
 * ```ts
 * import { aroundAll, beforeEach } from 'vitest';
 * import { installLeakChecks } from '@roost/testing';
 * installLeakChecks({ aroundAll, beforeEach });
 * ```
 *
 * - What a test has started and not ended is ended behind it if it failed, also when one of its hooks did.
 * - Whatever still runs after the whole file fails the file, is named and ended, so that it does not disturb the next.
 *
 * `onTestFinished` and `aroundAll`, not `afterEach` and `afterAll`: of those, a hook that throws skips the rest.
 */
export function installLeakChecks({ aroundAll, beforeEach }: RunnerHooks): void {
  let runningTests = 0;
  beforeEach(({ onTestFinished, task }) => {
    const before = new Set(runningFixtures());
    runningTests++;
    onTestFinished(() => {
      runningTests--;
      // Of tests that run side by side nobody knows whose a fixture is.
      if (task.result?.state !== 'fail' || runningTests > 0) return;
      for (const fixture of runningFixtures()) if (!before.has(fixture)) terminateFixture(fixture);
    });
  });
  aroundAll(async (runSuite) => {
    await runSuite();
    await assertNoLeaks();
  });
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
    for (const fixture of fixtures) terminateFixture(fixture);
    for (const pid of children) process.kill(pid, 'SIGKILL');
    const left = [...fixtures.map(({ what }) => what), ...children.map((pid) => `process ${pid}`)];
    throw new TestingError('TESTING_LEAK', `Left running by this test file: ${left.join(', ')}.`);
  }
}
