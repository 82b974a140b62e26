import { defineConfig } from 'vitest/config';

/** Specs that fork whole farms: they run on what the build made, and one file at a time. */
const SYSTEM_SPECS = ['test/**/*.test.ts', 'apps/*/src/**/*.system.test.ts'];

const shared = {
  // Sources, so that unit specs need no build of the packages they import.
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'], externalConditions: ['source'] } },
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
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'apps/*/src/**/*.test.ts'],
          exclude: SYSTEM_SPECS,
          testTimeout: 20_000,
          hookTimeout: 30_000,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        ...shared,
        test: {
          name: 'system',
          include: SYSTEM_SPECS,
          setupFiles: ['test/leak-checks.ts'],
          testTimeout: 40_000,
          hookTimeout: 40_000,
          // A farm has a worker for each CPU: two files at a time would measure each other.
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
