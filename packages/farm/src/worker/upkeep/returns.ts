import type { CloseReplacement, ReturnAtOnce } from '../../api/app.ts';
import type { AppHost } from '../app/app-host.ts';

/**
 * Which clients of a drain come back at once: of each app as many as its `returnAtOnce` allows by now. The farm's workers drain
 * at the same time, so each has an equal part of the rate.
 */
export class Returns {
  readonly #apps: Pick<AppHost, 'returnAtOnceOf'>;
  readonly #workers: number;
  readonly #now: () => number;
  readonly #startedAt: number;
  /** How many have been asked to, by their app's rule. */
  readonly #counts = new Map<ReturnAtOnce, number>();

  /** The rate counts from here on. `now` in ms. */
  constructor(apps: Pick<AppHost, 'returnAtOnceOf'>, workers: number, now: () => number) {
    this.#apps = apps;
    this.#workers = workers;
    this.#now = now;
    this.#startedAt = now();
  }

  /** The code and reason by which this one comes back at once; undefined when it is not to. Counts it. */
  take(slot: number): CloseReplacement | undefined {
    const rule = this.#apps.returnAtOnceOf(slot);
    if (rule === undefined) return undefined;
    const count = this.#counts.get(rule) ?? 0;
    // The first one is due when its part of the second is over: a worker that drains for no time at all has none.
    const allowed = ((this.#now() - this.#startedAt) / 1000) * (rule.perSecond / this.#workers);
    if (count + 1 > allowed) return undefined;
    this.#counts.set(rule, count + 1);
    return rule;
  }
}
