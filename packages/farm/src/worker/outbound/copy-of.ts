/** A copy with memory of its own, for what is kept: it pins neither the slab nor a block of Buffer's pool. */
export function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}
