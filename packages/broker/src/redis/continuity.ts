/** Publications may have been missed for so long. */
export interface Interruption {
  readonly sinceMs: number;
  readonly reason: string;
}

/** Whether the subscription is whole: connected, with every wanted channel subscribed; and since when it has not been. */
export class Continuity {
  /** See Broker.epoch. */
  epoch = 1;
  isWhole = false;
  #wasWhole = false;
  #brokenAt: number | undefined;
  #reason = '';

  /** The first connection is being made. */
  begin(reason: string): void {
    this.#brokenAt = performance.now();
    this.#reason = reason;
  }

  /**
   * The connection is gone, or an attempt to make one has failed. `heardAt`: if there was one, its last sign of life, on the
   * clock of `performance.now()`; what was sent since may have been lost on the way.
   */
  lost(reason: string, heardAt: number | undefined): void {
    this.isWhole = false;
    // The cause is what happened first, not how the attempts to reconnect ended.
    if (this.#brokenAt === undefined || !this.#wasWhole) this.#reason = reason;
    if (heardAt === undefined) return;
    this.#brokenAt ??= heardAt;
    this.epoch += 1;
  }

  /** The connection is about to be given up, since publications may be missed on it from `at` on. */
  doubt(reason: string, at: number): void {
    if (this.#brokenAt !== undefined) return;
    this.#brokenAt = at;
    this.#reason = reason;
  }

  /** It is whole again, with so many channels. Returns what is worth telling. */
  restored(channelCount: number): Interruption | undefined {
    const brokenAt = this.#brokenAt;
    const isWorthTelling = this.#wasWhole || channelCount > 0;
    this.isWhole = true;
    this.#wasWhole = true;
    this.#brokenAt = undefined;
    if (brokenAt === undefined || !isWorthTelling) return undefined;
    return { sinceMs: Math.ceil(performance.now() - brokenAt), reason: this.#reason };
  }
}
