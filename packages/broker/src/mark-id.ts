/** The bytes of a mark: its id, little endian. */
const MARK_BYTES = 8;

export function encodeMark(id: number): Buffer {
  checkMarkId(id);
  const bytes = Buffer.allocUnsafe(MARK_BYTES);
  bytes.writeBigUInt64LE(BigInt(id));
  return bytes;
}

/** Undefined for what no broker has sent. */
export function decodeMark(bytes: Buffer): number | undefined {
  if (bytes.length !== MARK_BYTES) return undefined;
  const id = Number(bytes.readBigUInt64LE());
  return Number.isSafeInteger(id) ? id : undefined;
}

export function checkMarkId(id: number): void {
  if (!Number.isSafeInteger(id) || id < 0) {
    throw new RangeError(`the id of a mark is an integer from 0 to 2^53 - 1, got ${id}`);
  }
}
