import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Lets every temporary directory of a run lie in one, which goes with the run: also those of specs that failed before
 * they could remove theirs, and of processes that were killed.
 */
export function setup(): () => void {
  const directory = mkdtempSync(join(tmpdir(), 'roost-test-'));
  process.env['TMPDIR'] = directory;
  return () => rmSync(directory, { recursive: true, force: true });
}
