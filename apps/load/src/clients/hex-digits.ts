const HEX = Buffer.from('0123456789abcdef');
/** The value of each digit's character code; -1 for others. */
const VALUES = new Int8Array(256).fill(-1);
for (let digit = 0; digit < 16; digit++) VALUES[HEX[digit] ?? 0] = digit;

/**
 * Writes `value`, an integer below 2^53, as `count` digits at `at`, each XORed with its one of the four mask bytes at
 * `mask`, right behind which the masked bytes begin.
 */
export function writeHex(target: Buffer, at: number, count: number, value: number, mask: number): void {
  let rest = value;
  for (let digit = count - 1; digit >= 0; digit--) {
    target[at + digit] = (HEX[rest % 16] ?? 0) ^ (target[mask + ((at + digit - mask) & 3)] ?? 0);
    rest = Math.floor(rest / 16);
  }
}

/** The number that `count` digits say, or NaN. */
export function readHex(bytes: Buffer, at: number, count: number): number {
  let value = 0;
  for (let digit = 0; digit < count; digit++) {
    const one = VALUES[bytes[at + digit] ?? 0] ?? -1;
    if (one === -1) return Number.NaN;
    value = value * 16 + one;
  }
  return value;
}

/** Whether the digits say this number. */
export function hexDigits(bytes: Buffer, at: number, count: number, value: number): boolean {
  return readHex(bytes, at, count) === value;
}
