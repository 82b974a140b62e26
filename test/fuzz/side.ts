import type { Runs } from './app.ts';

/** One of the two servers that are compared. */
export interface Side {
  readonly port: number;
  readonly runs: Runs;
  /** Whether everything that so many bytes ask for has been done. */
  hasDigested(path: string, sentBytes: number): boolean;
  stop(): Promise<void>;
}
