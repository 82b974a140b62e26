import type { FarmChanges } from './changes.ts';
import type { ChannelEvents } from './channel-events.ts';
import type { FarmInfo, Readiness } from './info.ts';
import type { FarmMetrics } from './metrics.ts';
import type { FarmOperations } from './operations.ts';
import type { TlsOptions } from '../api/tls.ts';

/** A running farm, as the process that started it sees it. */
export interface Farm {
  /** The port it listens on. */
  readonly port: number;
  /** Resolves when the farm has stopped, however that came; rejects when it could not go on. */
  readonly stopped: Promise<void>;
  /** Resolves when {@link readiness} is ready for the first time. Never rejects, and stays pending if that never comes. */
  readonly ready: Promise<void>;
  /** Figures of the whole farm. A worker that does not answer within a second is in `unanswered`. */
  info(): Promise<FarmInfo>;
  /**
   * Adds to a counter of the program's own, which {@link info} has then beside those that applications count: its name begins
   * with `app_`. `count`: an integer from 0, default 1.
   */
  count(name: `app_${string}`, count?: number): void;
  /**
   * Everything that can be measured, for a monitoring system; by worker. It asks all workers, which takes each of them some
   * milliseconds: do not ask more often than once a second. One that does not answer within a second is in `unanswered`.
   */
  metrics(): Promise<FarmMetrics>;
  /** Whether the farm can serve at this moment, and if not why. */
  readiness(): Readiness;
  /**
   * What happened in channels, as far as it is recorded (`recordedEvents`): with Redis in those of all farms on the same one, each
   * event for one of them. Undefined when nothing is recorded. It goes on when the farm has stopped, so that what happened last
   * can be told, too: stop it then.
   */
  readonly channelEvents: ChannelEvents | undefined;
  /**
   * New connections get this certificate from now on; those that are open go on with theirs. Throws a FarmError with
   * FARM_ERR_OPTION that names what is wrong, and changes nothing then; also when the farm was started without TLS.
   */
  reloadTls(tls: TlsOptions): void;
  /** New workers, more or fewer of them, the same load for each: while clients stay connected. */
  readonly changes: FarmChanges;
  /** What an operator may do with it while it runs. */
  readonly operations: FarmOperations;
  /** Graceful: stops accepting, closes connections with 1001 paced over `drainMs`, then stops. Safe to call twice. */
  drain(): Promise<void>;
  /** Forceful: ends everything now. Safe to call twice, also while draining. */
  stop(): Promise<void>;
}
