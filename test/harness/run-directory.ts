import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Set while a run has its directory. */
const IS_SET = 'ROOST_TEST_RUN_DIRECTORY';

/**
 * Lets every temporary directory of a run lie in one, which goes with the run: also those of specs that failed before
 * they could remove theirs, and of processes that were killed. Called for each project of vitest, it makes one for all: paths
 * of sockets may have 107 bytes (unix(7)), of which Chromium takes 46 behind its directory.
 */
export function setup(): () => void {
  if (process.env[IS_SET] !== undefined) return () => undefined;
  const directory = mkdtempSync(join(tmpdir(), 'roost-test-'));
  process.env['TMPDIR'] = process.env[IS_SET] = directory;
  return () => rmSync(directory, { recursive: true, force: true });
}
