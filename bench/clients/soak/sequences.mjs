/** @import { Tally } from './tally.mjs' */

/** The numbers that one client has heard, series by series: each is one more than the one before. */
export class Sequences {
  /** @type {Map<string, number>} */
  #last = new Map();
  #tally;

  /** @param {Tally} tally */
  constructor(tally) {
    this.#tally = tally;
  }

  /**
   * From here on every number of the series must come.
   * @param {string} series
   * @param {number} number The next.
   */
  expect(series, number) {
    this.#last.set(series, number - 1);
  }

  /**
   * Any number may be the first of a series that was not expected.
   * @param {string} series
   * @param {number} number
   */
  hear(series, number) {
    const last = this.#last.get(series) ?? number - 1;
    this.#tally.received++;
    if (number <= last) {
      this.#tally.repeated++;
      return;
    }
    this.#tally.lost += number - last - 1;
    this.#last.set(series, number);
  }

  /**
   * Undefined when it was neither heard nor expected.
   * @param {string} series
   */
  last(series) {
    return this.#last.get(series);
  }
}
