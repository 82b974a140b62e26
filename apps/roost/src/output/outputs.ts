import { fstatSync } from 'node:fs';
import { Output } from './output.ts';
import type { OutputOptions } from './output.ts';

export interface Outputs {
  readonly stdout: Output;
  readonly stderr: Output;
}

/** One for both where they are the same pipe, terminal or file (`2>&1`): lines of the two must not be mixed. */
export function createOutputs(options: OutputOptions): Outputs {
  const stdout = new Output(1, options);
  const ours = fstatSync(1);
  const theirs = fstatSync(2);
  const isSame = ours.dev === theirs.dev && ours.ino === theirs.ino;
  return { stdout, stderr: isSame ? stdout : new Output(2, options) };
}
