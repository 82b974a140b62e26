import { randomInt } from 'node:crypto';

/** A power of two. */
const INITIAL_CELLS = 64;
/** Of the cells, before there are twice as many. */
const MAX_LOAD = 0.75;

/**
 * Finds ids by name: a Map of strings takes 50 bytes for each, which is a quarter of what an idle connection in a channel
 * of its own costs, and this one 6 to 11. It keeps ids only, in cells of an Int32Array; the names are the owner's, where
 * `nameOf` finds them.
 *
 * An open table with linear probing: an id stands in the cell that its name's hash asks for, or in the next free one after
 * it. Removal moves up who would no longer be found. The hash begins with a secret of the process, so that clients cannot
 * choose names that all want one cell.
 */
export class NameIndex {
  readonly #nameOf: (id: number) => string;
  readonly #secret: number;
  /** id + 1; 0: free. */
  #cells = new Int32Array(INITIAL_CELLS);
  #size = 0;

  constructor(nameOf: (id: number) => string, secret = randomInt(0x7fff_ffff)) {
    this.#nameOf = nameOf;
    this.#secret = secret;
  }

  get size(): number {
    return this.#size;
  }

  /** All ids, in no order. */
  *ids(): IterableIterator<number> {
    for (const cell of this.#cells) if (cell !== 0) yield cell - 1;
  }

  /** The id of a name, or −1. */
  get(name: string): number {
    const mask = this.#cells.length - 1;
    for (let cell = this.#home(name); ; cell = (cell + 1) & mask) {
      const id = (this.#cells[cell] ?? 0) - 1;
      if (id === -1 || this.#nameOf(id) === name) return id;
    }
  }

  /** Adds an id, whose name is not in the index and which `nameOf` knows already. */
  add(name: string, id: number): void {
    if (this.#size + 1 > this.#cells.length * MAX_LOAD) this.#grow();
    this.#put(name, id);
    this.#size++;
  }

  /** Takes out a name that is in the index, while `nameOf` still knows it. */
  remove(name: string, id: number): void {
    const mask = this.#cells.length - 1;
    let hole = this.#home(name);
    while (this.#cells[hole] !== id + 1) hole = (hole + 1) & mask;
    for (let cell = (hole + 1) & mask; this.#cells[cell] !== 0; cell = (cell + 1) & mask) {
      const other = (this.#cells[cell] ?? 0) - 1;
      const home = this.#home(this.#nameOf(other));
      // It may move up unless that is before its home, counted around the end.
      if (((cell - home) & mask) < ((cell - hole) & mask)) continue;
      this.#cells[hole] = other + 1;
      hole = cell;
    }
    this.#cells[hole] = 0;
    this.#size--;
  }

  #put(name: string, id: number): void {
    const mask = this.#cells.length - 1;
    let cell = this.#home(name);
    while (this.#cells[cell] !== 0) cell = (cell + 1) & mask;
    this.#cells[cell] = id + 1;
  }

  #grow(): void {
    const ids = this.#cells.filter((cell) => cell !== 0);
    this.#cells = new Int32Array(this.#cells.length * 2);
    for (const one of ids) this.#put(this.#nameOf(one - 1), one - 1);
  }

  /** Jenkins's one-at-a-time hash. */
  #home(name: string): number {
    let hash = this.#secret;
    for (let index = 0; index < name.length; index++) {
      hash = (hash + name.charCodeAt(index)) | 0;
      hash = (hash + (hash << 10)) | 0;
      hash ^= hash >>> 6;
    }
    hash = (hash + (hash << 3)) | 0;
    hash ^= hash >>> 11;
    hash = (hash + (hash << 15)) | 0;
    return hash & (this.#cells.length - 1);
  }
}
