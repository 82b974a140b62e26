import { native } from './native.ts';

/**
 * A file in memory with these bytes that nobody can change (memfd_create(2), sealed). Its descriptor, which is the caller's
 * and may be sent to another process, or -errno.
 */
export function makeSealedFile(bytes: Uint8Array): number {
  return native().makeSealedFile(bytes);
}

/** How long such a file is; -EPERM when it is not sealed, -EINVAL for what is no file in memory, or another -errno. */
export function sealedFileBytes(fd: number): number {
  return native().sealedFileBytes(fd);
}

/** Copies the file, from its beginning, into `target`, as far as there is room. Bytes, or -errno. */
export function readSealedFile(fd: number, target: Uint8Array): number {
  return native().readSealedFile(fd, target);
}
