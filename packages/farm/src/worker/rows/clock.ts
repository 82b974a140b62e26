/** Ticks of the clock by which silence is measured: a Uint32 of them lasts 13 years. */
export const TICKS_PER_SECOND = 10;

/** Ticks since the worker started. Read once a batch of events, not once a message. */
export class Clock {
  now = 0;
  readonly #startedAt = performance.now();

  refresh(): void {
    this.now = Math.floor(((performance.now() - this.#startedAt) * TICKS_PER_SECOND) / 1000);
  }
}
