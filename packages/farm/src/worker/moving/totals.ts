/** Rows that have come and gone by moves since the start of the worker. */
export class MoveTotals {
  #in = 0;
  #out = 0;

  /** Answers how many it makes altogether, as the next. */
  arrived(rows: number): number {
    this.#in += rows;
    return this.#in;
  }

  departed(rows: number): number {
    this.#out += rows;
    return this.#out;
  }
}
