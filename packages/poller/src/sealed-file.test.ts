import { constants } from 'node:os';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  closeDescriptor,
  descriptorPair,
  makeSealedFile,
  readSealedFile,
  receiveDescriptors,
  sealedFileBytes,
  sendDescriptors,
} from './index.ts';

const { EINVAL, EPERM } = constants.errno;
const toClose: number[] = [];

afterEach(() => {
  for (const fd of toClose.splice(0)) closeDescriptor(fd);
});

describe('a sealed file', () => {
  it('has the bytes that it was made of, and its length', () => {
    const bytes = Buffer.alloc(300_000, 'abc');
    const fd = makeSealedFile(bytes);
    toClose.push(fd);
    expect(sealedFileBytes(fd)).toBe(bytes.length);
    const read = Buffer.alloc(bytes.length + 8);
    expect(readSealedFile(fd, read)).toBe(bytes.length);
    expect(read.subarray(0, bytes.length).equals(bytes)).toBe(true);
  });

  it('can be written to by nobody', () => {
    const fd = makeSealedFile(Buffer.from('for good'));
    toClose.push(fd);
    expect(() => writeSync(fd, 'not so', 0)).toThrow('EPERM');
  });

  it('is known from a file in memory that somebody may still change', () => {
    const folder = mkdtempSync('/dev/shm/sealed-file-');
    const fd = openSync(join(folder, 'not-sealed'), 'w+');
    try {
      expect(sealedFileBytes(fd)).toBe(-EPERM);
    } finally {
      closeSync(fd);
      rmSync(folder, { recursive: true });
    }
  });

  it('is known from a file on a disk', () => {
    const fd = openSync('/proc/self/exe', 'r');
    try {
      expect(sealedFileBytes(fd)).toBe(-EINVAL);
    } finally {
      closeSync(fd);
    }
  });

  it('travels with other descriptors in one message', () => {
    const pair = descriptorPair();
    const fd = makeSealedFile(Buffer.from('hello'));
    const beside = makeSealedFile(Buffer.from('beside'));
    toClose.push(...pair, fd, beside);
    expect(sendDescriptors(pair[0], Int32Array.of(fd, beside), 2, Buffer.from('x'))).toBe(0);
    const fds = new Int32Array(4);
    const result = { bytes: 0, count: 0, truncated: false };
    expect(receiveDescriptors(pair[1], fds, Buffer.alloc(8), result)).toMatchObject({ bytes: 1, count: 2 });
    toClose.push(...fds.subarray(0, 2));
    const read = Buffer.alloc(6);
    expect(readSealedFile(fds[0] ?? -1, read)).toBe(5);
    expect(read.toString('latin1', 0, 5)).toBe('hello');
    expect(readSealedFile(fds[1] ?? -1, read)).toBe(6);
    expect(read.toString()).toBe('beside');
  });
});
