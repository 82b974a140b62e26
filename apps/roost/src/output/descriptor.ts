import { constants, fstatSync, openSync } from 'node:fs';
import { isatty } from 'node:tty';

export type StandardDescriptor = 1 | 2;

/**
 * A descriptor for what stdout (1) or stderr (2) is, whose writes do not wait for its reader:
 *
 * - A pipe or a terminal is opened once more, so that O_NONBLOCK is ours alone: the flag belongs to the open file
 *   description, which a shell and other programs share with us (open(2)).
 * - A socket cannot be opened again, and a pipe of another user may not (EACCES). These get the flag by process.stdout
 *   or process.stderr, as with any program of Node that writes to them.
 * - A file stays as it is, with the offset that others share. The page cache takes what is written.
 *
 * Throws ENXIO while a named pipe has no reader: try again later (fifo(7)).
 */
export function openStandard(descriptor: StandardDescriptor): number {
  const isPipe = fstatSync(descriptor).isFIFO();
  const isTerminal = isatty(descriptor);
  if (isPipe || isTerminal) {
    try {
      const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
      return openSync(`/proc/self/fd/${descriptor}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    } catch (error) {
      if (isPipe && error instanceof Error && 'code' in error && error.code === 'ENXIO') throw error;
    }
  }
  // For a terminal Node's stream would block all the same; for a file there is nothing to be done.
  if (!isTerminal) {
    const stream = descriptor === 1 ? process.stdout : process.stderr;
    // If it is written to: an error of output is not a reason to end.
    stream.on('error', () => undefined);
  }
  return descriptor;
}
