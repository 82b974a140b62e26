import { MAX_PATIENCE, measureContention, patience } from './patience.ts';

/** A machine that stands still for longer than this stops the clock of a deadline, in ms. */
const LONGEST_STEP_MS = 250;

/** A machine that is busier by less than this is as busy as before. */
const NOTABLE = 1.2;

/**
 * An end of waiting that follows the machine. It is so long as was asked for, times {@link patience}; and once that is
 * over, it is put off if the machine has become busier since: what is waited for gets as much CPU as it would have had
 * at rest, up to {@link MAX_PATIENCE} times the asked. Its clock runs in steps, so that a pause of the whole machine,
 * or of this process, counts for one step.
 */
export class Deadline {
  readonly #askedMs: number;
  #leftMs: number;
  #givenMs: number;
  #lastLook = performance.now();

  /** @param askedMs As if the machine were at rest. */
  constructor(askedMs: number) {
    this.#askedMs = askedMs;
    this.#givenMs = askedMs * patience();
    this.#leftMs = this.#givenMs;
  }

  /** When to look again, in ms from now; at least 1. */
  get nextStepMs(): number {
    return Math.min(LONGEST_STEP_MS, Math.max(1, this.#leftMs));
  }

  /** Looks at the clock: whether the time is over. To be called every {@link nextStepMs}, or more often. */
  isOver(): boolean {
    const now = performance.now();
    this.#leftMs -= Math.min(now - this.#lastLook, LONGEST_STEP_MS);
    this.#lastLook = now;
    if (this.#leftMs > 0) return false;
    const dueMs = this.#askedMs * Math.min(MAX_PATIENCE, patience() * measureContention());
    this.#lastLook = performance.now();
    if (dueMs < this.#givenMs * NOTABLE) return true;
    this.#leftMs += dueMs - this.#givenMs;
    this.#givenMs = dueMs;
    return this.#leftMs <= 0;
  }

  /** For the error: "30 ms", or "30 ms × 2.5 (a busy machine)". */
  get inWords(): string {
    const asked = `${Math.round(this.#askedMs)} ms`;
    const factor = this.#givenMs / this.#askedMs;
    return factor < 1.05 ? asked : `${asked} × ${factor.toFixed(1)} (a busy machine)`;
  }
}
