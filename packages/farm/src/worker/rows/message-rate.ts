import type { RowOwner } from './row-owner.ts';

/**
 * How many messages each connection may send: a bucket of `burst` tokens, filled with `perSecond` a second, from which
 * every whole message, ping and pong takes one.
 *
 * The bucket of a row is one number, the time at which it will be full again (the generic cell rate algorithm of ATM,
 * ITU-T I.371): no timer fills anything. Zero is a full bucket, so that rows that were never used cost no page.
 */
export class MessageRate implements RowOwner {
  readonly #msPerMessage: number;
  readonly #maxAheadMs: number;
  /** In ms of performance.now(). */
  readonly #fullAt: Float64Array;

  constructor(capacity: number, perSecond: number, burst: number) {
    this.#msPerMessage = 1000 / perSecond;
    this.#maxAheadMs = (burst - 1) * this.#msPerMessage;
    this.#fullAt = new Float64Array(capacity);
  }

  /** Takes a token of the row's. False when there is none. */
  take(slot: number): boolean {
    const now = performance.now();
    const fullAt = Math.max(this.#fullAt[slot] ?? 0, now);
    if (fullAt - now > this.#maxAheadMs) return false;
    this.#fullAt[slot] = fullAt + this.#msPerMessage;
    return true;
  }

  /** How far the row's bucket is from being full, in ms. */
  aheadMs(slot: number): number {
    return Math.max(0, (this.#fullAt[slot] ?? 0) - performance.now());
  }

  /** The row had a bucket in another worker. */
  adopt(slot: number, aheadMs: number): void {
    this.#fullAt[slot] = aheadMs === 0 ? 0 : performance.now() + aheadMs;
  }

  /** The slot's next row begins with a full bucket. */
  release(slot: number): void {
    this.#fullAt[slot] = 0;
  }
}
