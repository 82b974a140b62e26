import { defineConfig } from 'vitest/config';

/** A suite in which all goes wrong, for leak-checks.test.ts. */
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['failing-file.ts'],
    pool: 'forks',
    hookTimeout: 120_000,
  },
});
