/** Marks that are remembered, of 16 bytes each; the memory is taken page by page. */
const MAX_MARKS = 8192;
/** Two marks are at least so far apart. */
const MIN_GAP_MS = 1000;
/** Of its age, a mark of long ago may be off by one part of so many. */
const PARTS_OF_AGE = 256;

/**
 * When connections were accepted, told from their numbers, which only grow: a number and the time at which it was the next
 * one, at most once a second. So the age of a connection costs the connection no memory, and goes wherever its number goes.
 *
 * The past is thinned out as it ages: what is told is right to a second, or to 1/256 of the age where that is more, and too
 * early rather than too late. A few thousand marks are enough for years.
 */
export class Arrivals {
  readonly #numbers = new Float64Array(MAX_MARKS);
  readonly #times = new Float64Array(MAX_MARKS);
  #count = 0;

  /** The next connection is number `next`; `now` in ms, of a clock that never goes back. */
  note(next: number, now: number): void {
    const last = this.#count - 1;
    if (last >= 0 && now - this.#timeAt(last) < MIN_GAP_MS) return;
    // Nobody has come since the last mark: it is moved.
    if (last >= 0 && this.#numbers[last] === next) this.#count--;
    if (this.#count === MAX_MARKS) this.#thin(now);
    this.#numbers[this.#count] = next;
    this.#times[this.#count] = now;
    this.#count++;
  }

  /** When the connection of this number was accepted; undefined when that is not known any more. */
  timeOf(number: number): number | undefined {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#numbers[middle] ?? 0) <= number) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? undefined : this.#timeAt(low - 1);
  }

  /** Drops marks whose numbers can be told by the one before, then, if it must be, the oldest. */
  #thin(now: number): void {
    let kept = 1;
    for (let at = 1; at < this.#count; at++) {
      const end = at + 1 < this.#count ? this.#timeAt(at + 1) : now;
      const isTold = end - this.#timeAt(kept - 1) <= (now - this.#timeAt(at)) / PARTS_OF_AGE;
      if (isTold) continue;
      this.#numbers[kept] = this.#numbers[at] ?? 0;
      this.#times[kept] = this.#timeAt(at);
      kept++;
    }
    this.#count = kept;
    if (kept < MAX_MARKS) return;
    this.#numbers.copyWithin(0, MAX_MARKS / 2);
    this.#times.copyWithin(0, MAX_MARKS / 2);
    this.#count = MAX_MARKS / 2;
  }

  #timeAt(mark: number): number {
    return this.#times[mark] ?? 0;
  }
}
