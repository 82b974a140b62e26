/** The lines of numbers that clients are given, `name number` each: every number must be the one behind that before. */
export class Sequences {
  /** @type {Map<string, number>} */
  #last = new Map();
  received = 0;
  /** Numbers that were left out. */
  lost = 0;
  /** Numbers that were there already, or came behind a later one. */
  backwards = 0;

  /**
   * A line of one client; its first number may be any.
   * @param {string} line
   * @param {number} number
   */
  take(line, number) {
    const last = this.#last.get(line);
    this.received++;
    if (last !== undefined && number <= last) {
      this.backwards++;
      return;
    }
    if (last !== undefined) this.lost += number - last - 1;
    this.#last.set(line, number);
  }

  /**
   * The next of a line is to be the one behind this.
   * @param {string} line
   * @param {number} number
   */
  goOnFrom(line, number) {
    this.#last.set(line, number);
  }

  /**
   * The last number of a line; 0 before the first.
   * @param {string} line
   */
  last(line) {
    return this.#last.get(line) ?? 0;
  }
}
