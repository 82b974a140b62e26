import type { Runs } from './app.ts';

/** One of the two servers that are compared. */
export interface Side {
  readonly port: number;
  readonly runs: Runs;
  stop(): Promise<void>;
}
