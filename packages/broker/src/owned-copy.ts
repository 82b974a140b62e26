/**
 * A copy in separate memory. `Buffer.from` and `Buffer.allocUnsafe` would take small ones out of Node's
 * pool, where one kept payload of 10 bytes pins 8 KiB; a view of a network chunk pins up to 64 KiB.
 */
export function ownedCopy(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.byteLength);
  copy.set(bytes);
  return copy;
}
