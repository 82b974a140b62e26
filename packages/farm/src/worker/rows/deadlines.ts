import { TICKS_PER_SECOND, type Clock } from './clock.ts';
import type { ConnectionTable } from './connection-table.ts';

/** In the column: this row does not expire. */
export const NEVER = 0;
/** Further away than any worker lives: 13 years. */
const LATEST = 0xffff_ffff;
/** Of the year 5138; in milliseconds it was passed in 1973. */
const MAX_EPOCH_SECONDS = 1e11;

/**
 * When connections expire: a column of ticks of the worker's clock, which is monotonic. How long a connection may live is
 * worked out once, when it is set, and from then on setting the system's clock changes nothing. {@link Expirations} closes
 * them.
 */
export class Deadlines {
  readonly #table: ConnectionTable;
  readonly #clock: Clock;
  /** No deadline is earlier, in ticks. */
  earliest = Number.POSITIVE_INFINITY;
  #onSet: () => void = () => undefined;

  constructor(table: ConnectionTable, clock: Clock) {
    this.#table = table;
    this.#clock = clock;
  }

  /** `onSet` is called after a row was given a deadline. */
  connect(onSet: () => void): void {
    this.#onSet = onSet;
  }

  /** In seconds since the epoch; undefined for never. */
  get(slot: number): number | undefined {
    const deadline = this.#table.expirations[slot] ?? NEVER;
    if (deadline === NEVER) return undefined;
    this.#clock.refresh();
    return Date.now() / 1000 + (deadline - this.#clock.now) / TICKS_PER_SECOND;
  }

  /** `expiresAt` as {@link checkExpiresAt} lets it pass. Replaces the deadline that was set before. */
  set(slot: number, expiresAt: number | undefined): void {
    if (expiresAt === undefined) {
      this.#table.expirations[slot] = NEVER;
      return;
    }
    const clock = this.#clock;
    clock.refresh();
    this.#set(slot, Math.ceil((expiresAt - Date.now() / 1000) * TICKS_PER_SECOND));
  }

  /** How many ticks are left; undefined for never. */
  ticksLeft(slot: number): number | undefined {
    const deadline = this.#table.expirations[slot] ?? NEVER;
    if (deadline === NEVER) return undefined;
    this.#clock.refresh();
    return Math.max(0, deadline - this.#clock.now);
  }

  /** The row had so many ticks left in another worker. */
  adopt(slot: number, ticksLeft: number): void {
    this.#clock.refresh();
    this.#set(slot, ticksLeft);
  }

  #set(slot: number, ticks: number): void {
    const deadline = Math.min(LATEST, Math.max(NEVER + 1, this.#clock.now + ticks));
    this.#table.expirations[slot] = deadline;
    this.earliest = Math.min(this.earliest, deadline);
    this.#onSet();
  }
}

/**
 * Throws a RangeError for a value that is not a time in seconds since the epoch. Milliseconds are recognised by their size:
 * taken for seconds they would mean never.
 */
export function checkExpiresAt(expiresAt: unknown): void {
  if (expiresAt === undefined) return;
  if (typeof expiresAt === 'number' && Number.isFinite(expiresAt) && expiresAt < MAX_EPOCH_SECONDS) return;
  const received = typeof expiresAt === 'number' ? String(expiresAt) : typeof expiresAt;
  throw new RangeError(
    `expiresAt is in seconds since the epoch, as the exp of a token, got ${received}; divide milliseconds by 1000`,
  );
}
