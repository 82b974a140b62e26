/** How many places at the front may be empty before the others move up. */
const MAX_EMPTY = 1024;

/**
 * A queue of items, first in, first out. `Array.shift` of some ten thousand items moves all that stay for each one that goes;
 * here they move when half of the places are empty. No item may be `undefined`.
 */
export class Fifo<Item> {
  #items: (Item | undefined)[] = [];
  #first = 0;

  get length(): number {
    return this.#items.length - this.#first;
  }

  get first(): Item | undefined {
    return this.#items[this.#first];
  }

  get second(): Item | undefined {
    return this.#items[this.#first + 1];
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  /** Puts an item where it is `index` behind the first, or at the end when there are no more. */
  insert(index: number, item: Item): void {
    this.#items.splice(this.#first + index, 0, item);
  }

  /** All of them, from the first on. */
  *[Symbol.iterator](): IterableIterator<Item> {
    for (let index = this.#first; index < this.#items.length; index++) {
      const item = this.#items[index];
      if (item !== undefined) yield item;
    }
  }

  /** Takes the first. */
  shift(): Item | undefined {
    const item = this.first;
    if (item === undefined) return undefined;
    this.#items[this.#first] = undefined;
    this.#first++;
    if (this.#first === this.#items.length) this.clear();
    else if (this.#first >= MAX_EMPTY && 2 * this.#first >= this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }

  /** Takes the last. */
  pop(): Item | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items.pop();
    if (this.length === 0) this.clear();
    return item;
  }

  clear(): void {
    this.#items = [];
    this.#first = 0;
  }
}
