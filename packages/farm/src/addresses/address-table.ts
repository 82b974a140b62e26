import { randomInt } from 'node:crypto';
import { isMappedIPv4 } from './address.ts';

/** First word of every IPv4 address's key: no host has an address of ffff:ffff::/32 (multicast, RFC 4291 §2.7). */
const IPV4_HIGH = 0xffff_ffff;

/**
 * Two 32-bit words by which the owner of an address is counted. An IPv6 address stands for its /64, which is what one
 * customer gets at least (RFC 6177); IPv4, mapped or not, for itself.
 */
export function addressKeyHigh(bytes: Uint8Array, offset: number): number {
  return isMappedIPv4(bytes, offset) ? IPV4_HIGH : wordAt(bytes, offset);
}

/** The second word: see {@link addressKeyHigh}. */
export function addressKeyLow(bytes: Uint8Array, offset: number): number {
  return wordAt(bytes, offset + (isMappedIPv4(bytes, offset) ? 12 : 4));
}

/**
 * Gives each known address a small index, which the owner uses for its columns, without an object per
 * address. `tag` distinguishes several entries of one address.
 *
 * A hash table with chains: entries lie densely, in the order of their arrival, so that a table of a million that holds
 * a hundred costs a few pages; it never grows, so that no call waits for a rehash. The hash has a secret, or a client with
 * many networks could choose those that share a chain.
 */
export class AddressTable {
  readonly capacity: number;
  readonly #mask: number;
  readonly #secret = randomInt(0x7fff_ffff);
  /** First entry of each chain + 1. */
  readonly #heads: Int32Array;
  /** Next entry of the chain + 1; of a free entry, the next free one + 1. */
  readonly #next: Int32Array;
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  /** Tag + 1; 0 for a free entry. */
  readonly #tags: Uint16Array;
  #firstFree = 0;
  #highWater = 0;
  #used = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    const chains = 2 ** Math.ceil(Math.log2(capacity));
    this.#mask = chains - 1;
    this.#heads = new Int32Array(chains);
    this.#next = new Int32Array(capacity);
    this.#high = new Uint32Array(capacity);
    this.#low = new Uint32Array(capacity);
    this.#tags = new Uint16Array(capacity);
  }

  /** Entries in use. */
  get used(): number {
    return this.#used;
  }

  /** All entries in use stand below this index. */
  get highWater(): number {
    return this.#highWater;
  }

  isUsed(index: number): boolean {
    return this.#tags[index] !== 0;
  }

  high(index: number): number {
    return this.#high[index] ?? 0;
  }

  low(index: number): number {
    return this.#low[index] ?? 0;
  }

  tag(index: number): number {
    return (this.#tags[index] ?? 0) - 1;
  }

  /** The index of an entry, or -1. */
  find(high: number, low: number, tag = 0): number {
    for (let at = this.#heads[this.#chain(high, low, tag)] ?? 0; at !== 0; at = this.#next[at - 1] ?? 0) {
      const index = at - 1;
      if (this.#low[index] === low && this.#high[index] === high && this.#tags[index] === tag + 1)
        return index;
    }
    return -1;
  }

  /** As {@link find}, but makes the entry when there is none; -1 when the table is full. */
  take(high: number, low: number, tag = 0): number {
    const found = this.find(high, low, tag);
    if (found !== -1) return found;
    let index: number;
    if (this.#firstFree !== 0) {
      index = this.#firstFree - 1;
      this.#firstFree = this.#next[index] ?? 0;
    } else if (this.#highWater < this.capacity) {
      index = this.#highWater++;
    } else {
      return -1;
    }
    const chain = this.#chain(high, low, tag);
    this.#high[index] = high;
    this.#low[index] = low;
    this.#tags[index] = tag + 1;
    this.#next[index] = this.#heads[chain] ?? 0;
    this.#heads[chain] = index + 1;
    this.#used++;
    return index;
  }

  /** Forgets an entry in use. */
  free(index: number): void {
    const chain = this.#chain(this.high(index), this.low(index), this.tag(index));
    const after = this.#next[index] ?? 0;
    let at = this.#heads[chain] ?? 0;
    if (at === index + 1) {
      this.#heads[chain] = after;
    } else {
      while (at !== 0 && this.#next[at - 1] !== index + 1) at = this.#next[at - 1] ?? 0;
      this.#next[at - 1] = after;
    }
    this.#tags[index] = 0;
    this.#next[index] = this.#firstFree;
    this.#firstFree = index + 1;
    this.#used--;
  }

  /** The finalizer of MurmurHash3 over the words. */
  #chain(high: number, low: number, tag: number): number {
    let hash = Math.imul(high ^ this.#secret, 0xcc9e_2d51) ^ low;
    hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b) ^ tag;
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
    return (hash ^ (hash >>> 16)) & this.#mask;
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) |
      ((bytes[at + 1] ?? 0) << 16) |
      ((bytes[at + 2] ?? 0) << 8) |
      (bytes[at + 3] ?? 0)) >>>
    0
  );
}
