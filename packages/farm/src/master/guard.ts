import type { Counters } from '../api/counters.ts';
import type { Log } from '../api/log.ts';

/** Of one place, that often at most: a callback that fails for every socket must not fill a disk. */
const LOG_EVERY_MS = 1000;

/**
 * Stands where the event loop calls the master: the poller's events, timers, the ends of children, messages of workers.
 * An exception that nobody foresaw would end this process there, and with it every connection of the farm, for the sake
 * of one socket or one worker. It ends the callback instead: counted (`master_errors`), logged with its stack, and the
 * master goes on. What is left undone then is made up for by the look at all workers four times a second.
 *
 * Workers have no such guard: one whose state may be broken ends, and another takes its place.
 */
export class Guard {
  readonly #counters: Counters;
  readonly #log: Log;
  /** When each place was logged last, and how many exceptions it has had since. */
  readonly #places = new Map<string, { loggedAt: number; since: number }>();

  constructor(counters: Counters, log: Log) {
    this.#counters = counters;
    this.#log = log;
  }

  /** The same function, which never throws. It answers whether it has done all that it does. */
  wrap<Args extends readonly unknown[]>(
    where: string,
    callback: (...args: Args) => void,
  ): (...args: Args) => boolean {
    return (...args) => {
      try {
        callback(...args);
        return true;
      } catch (error) {
        this.failed(where, error);
        return false;
      }
    };
  }

  run(where: string, callback: () => void): boolean {
    return this.wrap(where, callback)();
  }

  /** A timer. */
  after(milliseconds: number, where: string, callback: () => void): NodeJS.Timeout {
    return setTimeout(this.wrap(where, callback), milliseconds);
  }

  /** Something threw or rejected in `where`: words for whoever reads the log. */
  failed(where: string, error: unknown): void {
    this.#counters.add('master_errors');
    let place = this.#places.get(where);
    if (place === undefined) {
      place = { loggedAt: Number.NEGATIVE_INFINITY, since: 0 };
      this.#places.set(where, place);
    }
    place.since++;
    const now = performance.now();
    if (now - place.loggedAt < LOG_EVERY_MS) return;
    const facts = { where, error: error instanceof Error ? error.stack : String(error), times: place.since };
    place.loggedAt = now;
    place.since = 0;
    try {
      this.#log.error(facts, 'master failed at something; it goes on');
    } catch {
      // It may have been the log itself. What is counted is seen.
    }
  }
}
