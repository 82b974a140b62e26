const KEPT_SURPRISES = 20;

/** What the clients of one kind have seen, all of them together. */
export class Tally {
  opened = 0;
  open = 0;
  /** Messages with a number. */
  received = 0;
  /** Numbers that were passed over. */
  lost = 0;
  /** Numbers that came again, or too late. */
  repeated = 0;
  /**
   * Ends that were to be expected, by code.
   * @type {Record<string, number>}
   */
  closes = {};
  surpriseCount = 0;
  /**
   * The first of what should not have happened, in words.
   * @type {string[]}
   */
  surprises = [];

  /** @param {string} what */
  surprise(what) {
    this.surpriseCount++;
    if (this.surprises.length < KEPT_SURPRISES) this.surprises.push(what);
  }
}
