/** After a pause a rate lets through at once what it lets through in this time. */
const BURST_MS = 1000;
/** Against the error of adding intervals, which would cost the last of a burst. */
const TOLERANCE_MS = 1e-6;

/**
 * Token buckets as one number each and without timers: the time at which the bucket will be full again (the theoretical
 * arrival time of the generic cell rate algorithm, ITU-T I.371). In the past: it is full, and there is nothing to
 * remember.
 */
export function isDue(fullAt: number, now: number, intervalMs: number): boolean {
  return fullAt - now <= BURST_MS - intervalMs + TOLERANCE_MS;
}

/** `fullAt` after `count` arrivals. */
export function fullAfter(fullAt: number, now: number, intervalMs: number, count = 1): number {
  return Math.max(fullAt, now) + count * intervalMs;
}

/** One token bucket: at most `perSecond` per second, and as many at once. */
export class Rate {
  readonly perSecond: number;
  #fullAt = 0;

  constructor(perSecond: number) {
    this.perSecond = perSecond;
  }

  /** How many may arrive now. */
  available(now: number): number {
    const leftMs = BURST_MS - Math.max(0, this.#fullAt - now);
    return Math.floor(((leftMs + TOLERANCE_MS) * this.perSecond) / 1000);
  }

  /** As many have arrived. */
  take(now: number, count = 1): void {
    if (this.perSecond > 0) this.#fullAt = fullAfter(this.#fullAt, now, 1000 / this.perSecond, count);
  }

  /** In how many ms this many may arrive. */
  waitMs(now: number, count: number): number {
    return Math.max(0, this.#fullAt - now - BURST_MS + (count * 1000) / this.perSecond);
  }
}
