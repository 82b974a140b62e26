/**
 * A part that keeps something for rows: a queue, a timeout, a subscription. assemble.ts lists the owners once, in the order in
 * which {@link Rows.end} and {@link Rows.depart} ask them to release.
 */
export interface RowOwner {
  /** The row ends: gives back what is kept for it. Called for every row, also for one for which nothing is kept. */
  release(slot: number): void;
  /** The row has moved to another worker, and goes on there. Default: as {@link release}. */
  depart?(slot: number): void;
}
