import type { FarmInfo, Readiness } from './info.ts';
import type { TlsOptions } from '../api/tls.ts';

/** A running farm, as the process that started it sees it. */
export interface Farm {
  /** The port it listens on. */
  readonly port: number;
  /** Resolves when the farm has stopped, however that came; rejects when it could not go on. */
  readonly stopped: Promise<void>;
  /** Resolves when {@link readiness} is ready for the first time. Never rejects, and stays pending if that never comes. */
  readonly ready: Promise<void>;
  info(): Promise<FarmInfo>;
  readiness(): Readiness;
  /**
   * New connections get this certificate from now on; those that are open go on with theirs. Throws a FarmError with
   * FARM_ERR_OPTION that names what is wrong, and changes nothing then; also when the farm was started without TLS.
   */
  reloadTls(tls: TlsOptions): void;
  /** Graceful: stops accepting, closes connections with 1001 paced over `drainMs`, then stops. Safe to call twice. */
  drain(): Promise<void>;
  /** Forceful: ends everything now. Safe to call twice, also while draining. */
  stop(): Promise<void>;
}
