import { seededRandom } from '@roost/testing';

/** Choices that are the same for the same seed and number. */
export class Dice {
  readonly #below: (below: number) => number;

  constructor(seed: number, index: number) {
    this.#below = seededRandom(seed ^ Math.imul(index + 1, 0x9e3779b1));
  }

  /** 0 up to, not including, `count`. */
  below(count: number): number {
    return this.#below(count);
  }

  /** Both ends included. */
  between(least: number, most: number): number {
    return least + this.#below(most - least + 1);
  }

  /** True so many times in a hundred. */
  percent(chance: number): boolean {
    return this.#below(1000) < chance * 10;
  }

  pick<Value>(values: readonly Value[]): Value {
    const value = values[this.#below(values.length)];
    if (value === undefined) throw new RangeError('nothing to pick from');
    return value;
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.allocUnsafe(count);
    for (let at = 0; at < count; at += 4) {
      const word = this.#below(2 ** 32);
      bytes[at] = word;
      if (at + 1 < count) bytes[at + 1] = word >>> 8;
      if (at + 2 < count) bytes[at + 2] = word >>> 16;
      if (at + 3 < count) bytes[at + 3] = word >>> 24;
    }
    return bytes;
  }
}
