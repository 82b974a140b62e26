import { Arena, MAX_RECORD_BYTES } from '../arena.ts';
import { NameIndex } from '../name-index.ts';

/** In front of a record: the bytes of its pair. */
const HEAD_BYTES = 2;

/**
 * Texts by pair, as bytes: a Map of strings would take another 60 bytes for each. What is too large for a record of the
 * arena is in a Map all the same.
 */
export class PairTable {
  readonly #arena = new Arena();
  readonly #index = new NameIndex((id) => this.#pairOf(id));
  readonly #large = new Map<string, string>();

  has(pair: string): boolean {
    return this.#index.get(pair) !== NONE || this.#large.has(pair);
  }

  get(pair: string): string | undefined {
    const id = this.#index.get(pair);
    if (id === NONE) return this.#large.get(pair);
    const bytes = this.#arena.get(id);
    return bytes.toString('utf8', HEAD_BYTES + bytes.readUInt16LE(0));
  }

  /** A pair that is not in it. */
  add(pair: string, text: string): void {
    const pairBytes = Buffer.byteLength(pair);
    const length = HEAD_BYTES + pairBytes + Buffer.byteLength(text);
    if (length > MAX_RECORD_BYTES) {
      this.#large.set(pair, text);
      return;
    }
    const id = this.#arena.allocate(length);
    const bytes = this.#arena.get(id);
    bytes.writeUInt16LE(pairBytes, 0);
    bytes.write(pair, HEAD_BYTES);
    bytes.write(text, HEAD_BYTES + pairBytes);
    this.#index.add(pair, id);
  }

  /** False: it was not in it. */
  delete(pair: string): boolean {
    const id = this.#index.get(pair);
    if (id === NONE) return this.#large.delete(pair);
    this.#index.remove(pair, id);
    this.#arena.free(id);
    return true;
  }

  /** All pairs at this moment. */
  pairs(): readonly string[] {
    return [...this.#index.ids()].map((id) => this.#pairOf(id)).concat(...this.#large.keys());
  }

  #pairOf(id: number): string {
    const bytes = this.#arena.get(id);
    return bytes.toString('utf8', HEAD_BYTES, HEAD_BYTES + bytes.readUInt16LE(0));
  }
}

/** What an index says of a name that it does not have. */
const NONE = -1;
