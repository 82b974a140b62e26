import type { FarmInfo, Readiness } from './info.ts';

/** A running farm, as the process that started it sees it. */
export interface Farm {
  /** The port it listens on. */
  readonly port: number;
  /** Resolves when the farm has stopped, however that came; rejects when it could not go on. */
  readonly stopped: Promise<void>;
  info(): Promise<FarmInfo>;
  readiness(): Readiness;
  /** Graceful: stops accepting, closes connections with 1001 paced over `drainMs`, then stops. Safe to call twice. */
  drain(): Promise<void>;
  /** Forceful: ends everything now. Safe to call twice, also while draining. */
  stop(): Promise<void>;
}
