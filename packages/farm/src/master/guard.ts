import type { Counters } from '../api/counters.ts';
import type { Log } from '../api/log.ts';

/** At most one log line per place and interval: a callback that fails for every socket must not fill a disk. */
const LOG_EVERY_MS = 1000;

/**
 * Wraps the places where the event loop calls the master: the poller's events, timers, the ends of children, messages of
 * workers. An unforeseen exception there would end this process, and with it every connection of the farm, because of one
 * socket or one worker. Here it only ends the callback: it is counted (`master_errors`) and logged with its stack, and the
 * master goes on. The look at all workers, four times per second, makes up for what the callback has left undone.
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

  /** The same function, which never throws. It returns whether it ran to its end. */
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

  /** What is to happen when a promise resolves. */
  wait<T>(promise: Promise<T>, where: string, callback: (value: T) => void | Promise<void>): void {
    const waited = async (): Promise<void> => callback(await promise);
    waited().catch((error: unknown) => this.failed(where, error));
  }

  /** Something threw or rejected in `where`, which is words for the log. */
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
      // The log itself may have failed. The counter still shows it.
    }
  }
}
