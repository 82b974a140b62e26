import { describe, expect, it } from 'vitest';
import { hexDigits, readHex, writeHex } from './hex-digits.ts';

describe('hexadecimal digits', () => {
  it('are written through a mask, and read when it is taken away', () => {
    const bytes = Buffer.from('a1b2c3d4'.padEnd(40, '0'), 'hex');
    writeHex(bytes, 4, 16, 2 ** 53 - 1, 0);
    const plain = Buffer.from(bytes.subarray(4).map((byte, index) => byte ^ (bytes[index % 4] ?? 0)));
    expect(plain.toString()).toBe('001fffffffffffff');
    expect(readHex(plain, 0, 16)).toBe(2 ** 53 - 1);
    expect(hexDigits(plain, 8, 8, 0xffff_ffff)).toBe(true);
    expect(hexDigits(plain, 8, 8, 0xffff_fffe)).toBe(false);
  });

  it('have the mask of where they stand', () => {
    const bytes = Buffer.from('a1b2c3d4'.padEnd(28, '0'), 'hex');
    writeHex(bytes, 4 + 2, 8, 0x1234_abcd, 0);
    const plain = Buffer.from(
      bytes.subarray(4 + 2).map((byte, index) => byte ^ (bytes[(2 + index) % 4] ?? 0)),
    );
    expect(plain.toString()).toBe('1234abcd');
  });

  it('are none where anything else stands', () => {
    expect(readHex(Buffer.from('12g4'), 0, 4)).toBeNaN();
    expect(readHex(Buffer.from('12'), 0, 4)).toBeNaN();
  });
});
