import { CloseCode } from '../../api/close-codes.ts';
import type { Core } from '../core.ts';
import { TICKS_PER_SECOND } from '../rows/clock.ts';

const STEP_MS = 1000;
/** Connections closed between two turns of the event loop. */
const CLOSES_PER_TURN = 256;
/** In the column: this row does not expire. */
const NEVER = 0;
/** Further away than any worker lives: 13 years. */
const LATEST = 0xffff_ffff;
/** Of the year 5138; in milliseconds it was passed in 1973. */
const MAX_EPOCH_SECONDS = 1e11;

/**
 * Closes connections when the time is over that they were let in for, as a rule the `exp` of a token.
 *
 * Deadlines are a column of ticks of the worker's clock, which is monotonic: how long a connection may live is worked out
 * once, when it is told, and from then on setting the system's clock changes nothing. Once a second, and only while a
 * deadline may have passed, the column is read from end to end: 1.4 ms for a million rows, which is cheaper than keeping
 * lists in order, and takes 4 bytes a row. A connection ends within a second after its deadline, never before.
 * Many that end together are closed in portions, so that the event loop goes on turning.
 */
export class Expirations {
  readonly #core: Core;
  /** Runs while a row has a deadline. */
  #timer: NodeJS.Timeout | undefined;
  /** No deadline is earlier. */
  #earliest = Number.POSITIVE_INFINITY;
  /** A sweep waits for the next turn to go on. */
  #isSweeping = false;
  #isStopped = false;

  constructor(core: Core) {
    this.#core = core;
  }

  /** In seconds since the epoch; undefined for never. */
  get(slot: number): number | undefined {
    const { table, clock } = this.#core;
    const deadline = table.expirations[slot] ?? NEVER;
    if (deadline === NEVER) return undefined;
    clock.refresh();
    return Date.now() / 1000 + (deadline - clock.now) / TICKS_PER_SECOND;
  }

  /** `expiresAt` as {@link checkExpiresAt} lets it pass. In place of what was set before. */
  set(slot: number, expiresAt: number | undefined): void {
    const { table, clock } = this.#core;
    if (expiresAt === undefined) {
      table.expirations[slot] = NEVER;
      return;
    }
    clock.refresh();
    const ticks = Math.ceil((expiresAt - Date.now() / 1000) * TICKS_PER_SECOND);
    const deadline = Math.min(LATEST, Math.max(NEVER + 1, clock.now + ticks));
    table.expirations[slot] = deadline;
    this.#earliest = Math.min(this.#earliest, deadline);
    if (!this.#isStopped) this.#timer ??= setInterval(() => this.#step(), STEP_MS);
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  #step(): void {
    const { clock } = this.#core;
    clock.refresh();
    if (this.#isSweeping || clock.now < this.#earliest) return;
    this.#earliest = Number.POSITIVE_INFINITY;
    this.#isSweeping = true;
    this.#sweep(0);
  }

  #sweep(first: number): void {
    if (this.#isStopped) return;
    const { table, clock } = this.#core;
    const { expirations, highWater } = table;
    const { now } = clock;
    let earliest = Number.POSITIVE_INFINITY;
    let closes = 0;
    let slot = first;
    for (; slot < highWater && closes < CLOSES_PER_TURN; slot++) {
      const deadline = expirations[slot] ?? NEVER;
      if (deadline === NEVER) continue;
      if (deadline > now) {
        if (deadline < earliest) earliest = deadline;
      } else {
        closes++;
        this.#expire(slot);
      }
    }
    this.#earliest = Math.min(this.#earliest, earliest);
    if (slot < highWater) {
      setImmediate(() => this.#sweep(slot));
      return;
    }
    this.#isSweeping = false;
    if (this.#earliest !== Number.POSITIVE_INFINITY) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #expire(slot: number): void {
    const { table, lifecycle, counters } = this.#core;
    table.expirations[slot] = NEVER;
    if (!lifecycle.close(slot, CloseCode.tokenExpired, 'the token has expired')) return;
    counters.add('closed_token_expired');
  }
}

/**
 * Throws a RangeError for what is no time in seconds since the epoch. Milliseconds are found out by their size: taken for
 * seconds they would mean never.
 */
export function checkExpiresAt(expiresAt: unknown): void {
  if (expiresAt === undefined) return;
  if (typeof expiresAt === 'number' && Number.isFinite(expiresAt) && expiresAt < MAX_EPOCH_SECONDS) return;
  const received = typeof expiresAt === 'number' ? String(expiresAt) : typeof expiresAt;
  throw new RangeError(
    `expiresAt is in seconds since the epoch, as the exp of a token, got ${received}; divide milliseconds by 1000`,
  );
}
