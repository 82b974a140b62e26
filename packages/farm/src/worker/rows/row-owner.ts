/**
 * A part that keeps something for rows: a queue, a timeout, a subscription. assemble.ts lists the owners once, in the order in
 * which {@link Rows.end} asks them to release; a row that is to leave a worker in another way can be asked of all of them.
 */
export interface RowOwner {
  /** The row ends: gives back what is kept for it. Called for every row, also for one for which nothing is kept. */
  release(slot: number): void;
}
