import { CLOSE_CODES } from './close-codes.ts';

/** Codes that RFC 6455 §7.4.1 and its registry define. */
const FIRST_STANDARD = 1000;
const LAST_STANDARD = 1015;
/** Codes beside those that the server itself may have closed with. */
const MAX_KNOWN = 128;

/**
 * How connections ended, by close code. Codes that the server has closed with are counted each, and so are those of RFC 6455;
 * others are what clients have thought of, and are counted together, so that nobody else decides how many counts there are.
 */
export class CloseCounts {
  readonly #counts = new Map<number, number>();
  #others = 0;

  constructor() {
    for (const { code } of Object.values(CLOSE_CODES)) this.#counts.set(code, 0);
    for (let code = FIRST_STANDARD; code <= LAST_STANDARD; code++) this.#counts.set(code, 0);
  }

  /** The server closes a connection with this code: it is counted by itself from now on. */
  know(code: number): void {
    if (!this.#counts.has(code) && this.#counts.size < MAX_KNOWN) this.#counts.set(code, 0);
  }

  /** A connection has ended. */
  add(code: number): void {
    const count = this.#counts.get(code);
    if (count === undefined) this.#others++;
    else this.#counts.set(code, count + 1);
  }

  /** Those that have happened. */
  snapshot(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const [code, count] of this.#counts) if (count > 0) counts[code] = count;
    if (this.#others > 0) counts['other'] = this.#others;
    return counts;
  }
}
