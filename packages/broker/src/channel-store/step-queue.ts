import { BrokerError } from '../errors.ts';
import { Fifo } from '../fifo.ts';

/**
 * Most steps under way. An answer may hold all members of a channel, so that this, and not the bytes that were sent,
 * bounds what lies in sockets; it is more than a server needs to be kept busy.
 */
const MAX_UNDER_WAY = 256;
/** Most steps that wait. */
const MAX_WAITING = 32_768;

/** Starts steps in their order, not too many at a time. */
export class StepQueue {
  readonly #waiting = new Fifo<() => void>();
  #underWayCount = 0;
  #onIdle: (() => void) | undefined;

  /**
   * Starts the step now or when it is its turn; what it comes to is the outcome. Rejects with `BROKER_OVERLOADED` when too
   * many wait. One that `mustWait` is taken in any case: who calls it has kept it in memory before.
   */
  run<Result>(start: () => Promise<Result>, mustWait = false): Promise<Result> {
    if (this.#underWayCount < MAX_UNDER_WAY) return this.#start(start);
    if (!mustWait && this.#waiting.length >= MAX_WAITING) {
      return Promise.reject(
        new BrokerError(
          'BROKER_OVERLOADED',
          `Nothing was sent: ${this.#waiting.length} steps of channels are waiting and no more may, so join more slowly.`,
        ),
      );
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => void this.#start(start).then(resolve, reject));
    });
  }

  /** Resolves when nothing is under way and nothing waits. */
  idle(): Promise<void> {
    if (this.#underWayCount === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  async #start<Result>(start: () => Promise<Result>): Promise<Result> {
    this.#underWayCount += 1;
    try {
      return await start();
    } finally {
      this.#underWayCount -= 1;
      this.#waiting.shift()?.();
      if (this.#underWayCount === 0) this.#onIdle?.();
    }
  }
}
