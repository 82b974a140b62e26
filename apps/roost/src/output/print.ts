import { writeSync } from 'node:fs';
import type { StandardDescriptor } from './descriptor.ts';

const RETRY_MS = 10;

/** What a command was asked for cannot be written. The message is what the command line prints. */
export class OutputError extends Error {
  constructor(cause: Error) {
    super(`Standard output cannot be written to: ${cause.message}.`, { cause });
    this.name = 'OutputError';
  }
}

/**
 * Writes all of what a command was asked for, and waits for its reader: `roost check-config | less` gets the whole
 * text. A reader that has gone, as in `roost check-config | head -1`, is not an error. Throws an OutputError where
 * it cannot be written, as on a full disk.
 */
export function printAll(text: string): void {
  const problem = writeAll(1, text);
  if (problem !== undefined) throw new OutputError(problem);
}

/** Prints why a command failed, if that is possible. */
export function printError(text: string): void {
  writeAll(2, text);
}

/** Returns why the rest could not be written. */
function writeAll(descriptor: StandardDescriptor, text: string): Error | undefined {
  const pause = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  let bytes = Buffer.from(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(descriptor, bytes));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
      if (error.code === 'EPIPE') return undefined;
      if (error.code !== 'EAGAIN') return error;
      // Another process has made the pipe non-blocking, for all that share it.
      Atomics.wait(pause, 0, 0, RETRY_MS);
    }
  }
  return undefined;
}
