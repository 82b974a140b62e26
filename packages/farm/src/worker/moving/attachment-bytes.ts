import { deserialize, serialize } from 'node:v8';
import { EMPTY } from '../rows/empty.ts';

/** An attachment as it travels: empty for undefined. Throws for what cannot be serialised. */
export function attachmentToBytes(attachment: unknown): Buffer {
  return attachment === undefined ? EMPTY : serialize(attachment);
}

/**
 * The attachment, in memory of its own: bytes in it are views of what they are read from, which would keep all that came with it.
 * Throws for what a newer V8 has written.
 */
export function attachmentFromBytes(bytes: Uint8Array): unknown {
  return bytes.length === 0 ? undefined : deserialize(new Uint8Array(bytes));
}
