import { serialize } from 'node:v8';
import type { RowOwner } from './row-owner.ts';

const MAX_ATTACHMENT_BYTES = 16 * 1024;
const MAX_SHORT_STRING = MAX_ATTACHMENT_BYTES / 4;

/** What applications keep with their connections. Only rows that have an attachment cost anything. */
export class Attachments implements RowOwner {
  readonly #bySlot = new Map<number, unknown>();

  get(slot: number): unknown {
    return this.#bySlot.get(slot);
  }

  /** `attachment` as {@link checkAttachment} lets it pass. Undefined removes it. */
  set(slot: number, attachment: unknown): void {
    if (attachment === undefined) this.#bySlot.delete(slot);
    else this.#bySlot.set(slot, attachment);
  }

  release(slot: number): void {
    this.#bySlot.delete(slot);
  }
}

/**
 * Makes sure that an attachment could travel with its connection: structured-cloneable data of at most 16 KB. Throws a
 * DataCloneError for functions and the like, a RangeError for what is too large. What is changed inside an attachment
 * later is not checked.
 */
export function checkAttachment(attachment: unknown): void {
  // Most are nothing, or a name: no need to serialise those.
  if (attachment === undefined || attachment === null || typeof attachment === 'number') return;
  if (typeof attachment === 'string' && attachment.length <= MAX_SHORT_STRING) return;
  const bytes = serialize(attachment).length;
  if (bytes <= MAX_ATTACHMENT_BYTES) return;
  throw new RangeError(
    `an attachment may have ${MAX_ATTACHMENT_BYTES} bytes when serialised, got ${bytes}; keep what is larger in a store of your own`,
  );
}
