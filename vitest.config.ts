import { defineConfig } from 'vitest/config';
import { LONGEST_WAIT_MS } from './packages/testing/src/eventually.ts';
import { measurePatience } from './packages/testing/src/patience.ts';

/** Specs that fork whole farms: they run on what the build made, and one file at a time. */
const SYSTEM_SPECS = ['test/**/*.test.ts', 'apps/*/src/**/*.system.test.ts'];

// How slow this machine is just now. Forks inherit it; every deadline is as many times longer.
process.env['ROOST_TEST_PATIENCE'] ??= measurePatience().toFixed(1);

/**
 * What a test waits for has a deadline of its own, which says more and follows the machine (see Deadline). This ends a
 * wait that has none.
 */
const NET_MS = 900_000;

const shared = {
  // Sources, so that unit specs need no build of the packages they import.
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'], externalConditions: ['source'] } },
};

const sharedTest = {
  globalSetup: ['test/harness/run-directory.ts'],
  setupFiles: ['test/harness/leak-checks.ts'],
  testTimeout: NET_MS,
  hookTimeout: NET_MS,
  expect: { poll: { timeout: LONGEST_WAIT_MS, interval: 10 } },
};

export default defineConfig({
  test: {
    // A spec that passes at the second attempt is a bug report that nobody reads.
    retry: 0,
    pool: 'forks',
    projects: [
      {
        ...shared,
        test: {
          ...sharedTest,
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'apps/*/src/**/*.test.ts'],
          exclude: SYSTEM_SPECS,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        ...shared,
        test: {
          ...sharedTest,
          name: 'system',
          include: SYSTEM_SPECS,
          // A farm has a worker for each CPU: two files at a time would measure each other.
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
