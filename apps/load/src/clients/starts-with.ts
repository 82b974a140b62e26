/** Whether `bytes[start … start + length)` begin with `prefix`; without an allocation, which a view would be. */
export function startsWith(bytes: Buffer, start: number, length: number, prefix: Buffer): boolean {
  if (length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (bytes[start + i] !== prefix[i]) return false;
  return true;
}
