import type { Histogram } from '../../api/histograms.ts';

/** What a life of a worker needs of its place. */
export interface LifeOwner<Life> {
  /** Of the place. */
  readonly index: number;
  /** How many workers the farm has now. */
  readonly workerCount: number;
  /** Of hand-offs to the workers of the place. */
  readonly handOffs: Histogram;
  /** The system had no process for it. */
  lifeNotForked(life: Life, error: NodeJS.ErrnoException): void;
  /** Its process has been reaped; it was ready for `readyMs`. */
  lifeEnded(life: Life, readyMs: number): void;
}
