import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/**
 * The bytes of a configured file: at most `maxBytes`, and of a regular file only, since a pipe or a device
 * may never end, or never begin. Throws an Error whose message says why not, in words that can follow "cannot be read:".
 */
export function readRegularFile(path: string, maxBytes: number): Buffer {
  let descriptor: number;
  try {
    // Opening a pipe without O_NONBLOCK waits until another process writes to it (fifo(7)).
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw new Error(reasonOf(error), { cause: error });
  }
  try {
    const stat = fstatSync(descriptor);
    if (stat.isDirectory()) throw new Error('it is a folder');
    if (!stat.isFile()) throw new Error('it is a pipe, a socket or a device, and must be a regular file');
    if (stat.size > maxBytes) throw new Error(`it has ${stat.size} bytes, and may have ${maxBytes}`);
    return readAtMost(descriptor, maxBytes);
  } finally {
    closeSync(descriptor);
  }
}

/** The size of a file in /proc is 0, and any file may have grown since. */
function readAtMost(descriptor: number, maxBytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(maxBytes + 1);
  let length = 0;
  for (;;) {
    const read = readSync(descriptor, buffer, length, buffer.length - length, null);
    if (read === 0) return buffer.subarray(0, length);
    length += read;
    if (length > maxBytes) throw new Error(`it has more than ${maxBytes} bytes`);
  }
}

function reasonOf(error: unknown): string {
  switch (error instanceof Error && 'code' in error ? error.code : undefined) {
    case 'ENOENT':
      return 'there is no such file';
    case 'EACCES':
    case 'EPERM':
      return 'permission is denied';
    case 'ELOOP':
      return 'its symbolic links lead in a circle';
    case 'ENOTDIR':
      return 'a part of its path is not a folder';
    case 'ENAMETOOLONG':
      return 'its path is too long';
    case 'ENXIO':
      return 'it is a pipe, a socket or a device, and must be a regular file';
    case 'ERR_INVALID_ARG_VALUE':
      return 'its path holds a NUL character';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
