import type { ConnectionIdSecret } from '../../link/connection-id-secret.ts';
import { halfSipHash } from './half-sip-hash.ts';

/** Numbers have so many bits, in two halves: at 10,000 connections a second they last for 13 years. */
const HALF_BITS = 21;
const HALF = 2 ** HALF_BITS;
const NUMBERS = HALF * HALF;
/** With four a Feistel network cannot be told from a random permutation by who may ask for a few values; these are two more. */
const ROUNDS = 6;

const ID = /^(\d{1,10})\.(\d{1,13})$/;

/**
 * The ids of a farm's connections: the farm's tag, a dot, and the number that the master gave, scrambled. Nothing is kept for
 * an id: it is computed from the number, and the number from it.
 *
 * The scrambling is a permutation of all numbers, a Feistel network whose rounds are keyed hashes. So ids are unique, and who
 * knows his own cannot name the one that was given next.
 */
export class ConnectionIds {
  readonly #tag: string;
  readonly #key: readonly [number, number];

  constructor({ tag, key }: ConnectionIdSecret) {
    this.#tag = String(tag);
    this.#key = key;
  }

  /** `number`: an integer from 0 to 2^42 − 1. */
  idOf(number: number): string {
    return `${this.#tag}.${this.scramble(number)}`;
  }

  /** The number of a connection of this farm; undefined for the id of another's, and for what is none. */
  numberOf(id: string): number | undefined {
    const [, tag, scrambled] = ID.exec(id) ?? [];
    const value = Number(scrambled);
    if (tag !== this.#tag || !(value < NUMBERS)) return undefined;
    const number = this.unscramble(value);
    // With zeros in front it would be another text of the same number.
    return this.idOf(number) === id ? number : undefined;
  }

  scramble(number: number): number {
    let left = Math.floor(number / HALF);
    let right = number % HALF;
    for (let round = 0; round < ROUNDS; round++) {
      const mixed = left ^ this.#mix(round, right);
      left = right;
      right = mixed;
    }
    return left * HALF + right;
  }

  unscramble(scrambled: number): number {
    let left = Math.floor(scrambled / HALF);
    let right = scrambled % HALF;
    for (let round = ROUNDS - 1; round >= 0; round--) {
      const mixed = right ^ this.#mix(round, left);
      right = left;
      left = mixed;
    }
    return left * HALF + right;
  }

  #mix(round: number, half: number): number {
    return halfSipHash(this.#key, (round << HALF_BITS) | half) % HALF;
  }
}
