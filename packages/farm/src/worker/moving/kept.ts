import type { Publication } from '@roost/broker';

/** What came from the broker behind a mark, in its order. */
export type KeptItem = { readonly publication: Publication } | { readonly control: Buffer };

/** Beside its bytes: two objects, and a Buffer with its memory. */
const OVERHEAD_BYTES = 512;

/** What is kept for a batch that is between two workers, bounded by `maxMoveHeldBytes`: whoever serves it will deliver it. */
export class Kept {
  readonly items: KeptItem[] = [];
  /** Something had no room. */
  hasGap = false;
  readonly #channels: ReadonlySet<string>;
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(channels: ReadonlySet<string>, maxBytes: number) {
    this.#channels = channels;
    this.#maxBytes = maxBytes;
  }

  /** True when it is kept: the batch gets it. */
  publication(publication: Publication): boolean {
    return this.#channels.has(publication.channel) && this.#add({ publication }, publication.payload.length);
  }

  control(control: Buffer): void {
    this.#add({ control }, control.length);
  }

  #add(item: KeptItem, bytes: number): boolean {
    const cost = bytes + OVERHEAD_BYTES;
    if (this.#bytes + cost > this.#maxBytes) {
      this.hasGap = true;
      return false;
    }
    this.#bytes += cost;
    this.items.push(item);
    return true;
  }
}
