import { defineConfig } from 'vitest/config';
import { LONGEST_WAIT_MS } from './packages/testing/src/eventually.ts';
import { measurePatience } from './packages/testing/src/patience.ts';

/** Specs that fork whole farms: they run on what the build made, and two files at a time. */
const SYSTEM_SPECS = ['test/**/*.test.ts', 'apps/*/src/**/*.system.test.ts'];
/** Suites of others, which wait for minutes and do next to nothing: they need not be alone. */
const SUITES = ['test/suites/*.test.ts'];
/** So are specs of what dialects answer: they fork farms, but measure nothing of them, and wait for most of their time. */
const DIALECT_SPECS = [
  'apps/roost/src/worker/dialects/**/*.system.test.ts',
  'apps/roost/src/webhooks/*.system.test.ts',
];
/** Specs of what a farm does with the CPUs it has, or when it has none: they run alone, for two would measure each other. */
const MEASURING_SPECS = [
  'test/{broadcast,fairness,hand-off,hibernate-and-wake,liveness,stuck-worker}.test.ts',
  'test/fuzz/fuzz.test.ts',
];
/** Files beside each other where none measures: two CPUs, and one file that waits. */
const WORKERS_BESIDE = 3;

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
    // A spec that passes at the second attempt is a bug report that nobody reads. CI tries a few files again, and names them.
    retry: 0,
    pool: 'forks',
    projects: [
      {
        ...shared,
        test: {
          ...sharedTest,
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'apps/*/{src,dashboard}/**/*.test.ts'],
          exclude: SYSTEM_SPECS,
          maxWorkers: WORKERS_BESIDE,
          sequence: { groupOrder: 0 },
        },
      },
      {
        ...shared,
        test: {
          ...sharedTest,
          name: 'dialects',
          include: [...DIALECT_SPECS, ...SUITES],
          maxWorkers: WORKERS_BESIDE,
          sequence: { groupOrder: 0 },
        },
      },
      {
        ...shared,
        test: {
          ...sharedTest,
          name: 'system',
          include: SYSTEM_SPECS,
          exclude: [...DIALECT_SPECS, ...SUITES, ...MEASURING_SPECS],
          // Most of them wait most of the time.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        ...shared,
        test: {
          ...sharedTest,
          name: 'alone',
          include: MEASURING_SPECS,
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
