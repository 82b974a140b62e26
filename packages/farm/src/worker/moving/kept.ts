import type { Publication } from '@roost/broker';

/** What came from the broker behind a mark, in its order. */
export type KeptItem = { readonly publication: Publication } | { readonly control: Buffer };

/** Beside its bytes: two objects, and a Buffer with its memory. */
const OVERHEAD_BYTES = 512;

/**
 * What is kept for a batch that is between two workers: whoever serves it will deliver it. Bounded by `maxMoveHeldBytes`; control
 * messages have as much room of their own, so that a flood of publications keeps nobody from being disconnected.
 */
export class Kept {
  readonly items: KeptItem[] = [];
  /** Something had no room. */
  hasGap = false;
  readonly #channels: ReadonlySet<string>;
  readonly #maxBytes: number;
  readonly #bytes = { publications: 0, controls: 0 };

  constructor(channels: ReadonlySet<string>, maxBytes: number) {
    this.#channels = channels;
    this.#maxBytes = maxBytes;
  }

  /** True when it is kept: the batch gets it. */
  publication(publication: Publication): boolean {
    return (
      this.#channels.has(publication.channel) &&
      this.#add('publications', { publication }, publication.payload.length)
    );
  }

  control(control: Buffer): void {
    this.#add('controls', { control }, control.length);
  }

  #add(what: 'publications' | 'controls', item: KeptItem, bytes: number): boolean {
    const cost = bytes + OVERHEAD_BYTES;
    if (this.#bytes[what] + cost > this.#maxBytes) {
      this.hasGap = true;
      return false;
    }
    this.#bytes[what] += cost;
    this.items.push(item);
    return true;
  }
}
