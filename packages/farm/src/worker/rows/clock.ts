/** Ticks of the clock by which silence is measured: a Uint32 of them lasts 13 years. */
export const TICKS_PER_SECOND = 10;

/** Where the clock begins: a connection that comes from another worker may have been silent for longer than this one runs. */
const FIRST_TICK = 2 ** 24;

/** Ticks of this worker. Read once a batch of events, not once a message. */
export class Clock {
  now = FIRST_TICK;
  readonly #startedAt = performance.now();

  refresh(): void {
    this.now = FIRST_TICK + Math.floor(((performance.now() - this.#startedAt) * TICKS_PER_SECOND) / 1000);
  }
}
