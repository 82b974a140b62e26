import type { RowOwner } from './row-owner.ts';

/** The reasons for which a row may be timed out. A row waits for at most one of them at a time. */
export const TimeoutKind = {
  none: 0,
  handshake: 1,
  upgrade: 2,
  message: 3,
  quiet: 4,
  closing: 5,
  http: 6,
} as const;

export interface TimeoutHandlers {
  /** The row's timeout has passed; it has none now. */
  timeoutOnExpired(slot: number, kind: number): void;
}

export type TimeoutDurations = { readonly [Kind in Exclude<keyof typeof TimeoutKind, 'none'>]: number };

/**
 * Timeouts without a timer per connection. All timeouts of one kind are equally long, so that a FIFO list through the
 * rows is always in order: adding and removing are O(1), and one timer waits for the earliest head.
 */
export class Timeouts implements RowOwner {
  readonly #durations: readonly number[];
  /** Neighbours in the list + 1; 0 for none. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #kinds: Uint8Array;
  readonly #deadlines: Float64Array;
  readonly #heads = new Int32Array(7);
  readonly #tails = new Int32Array(7);
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #handlers!: TimeoutHandlers;

  constructor(capacity: number, durations: TimeoutDurations) {
    this.#durations = [
      0,
      durations.handshake,
      durations.upgrade,
      durations.message,
      durations.quiet,
      durations.closing,
      durations.http,
    ];
    this.#next = new Int32Array(capacity);
    this.#previous = new Int32Array(capacity);
    this.#kinds = new Uint8Array(capacity);
    this.#deadlines = new Float64Array(capacity);
  }

  /** Given once, before the first timeout. */
  connect(handlers: TimeoutHandlers): void {
    this.#handlers = handlers;
  }

  /** What the row waits for. */
  kind(slot: number): number {
    return this.#kinds[slot] ?? TimeoutKind.none;
  }

  /** Starts the row's timeout, in place of the one it had. */
  set(slot: number, kind: number): void {
    this.clear(slot);
    const deadline = performance.now() + (this.#durations[kind] ?? 0);
    const tail = this.#tails[kind] ?? 0;
    this.#kinds[slot] = kind;
    this.#deadlines[slot] = deadline;
    this.#previous[slot] = tail;
    this.#next[slot] = 0;
    if (tail === 0) this.#heads[kind] = slot + 1;
    else this.#next[tail - 1] = slot + 1;
    this.#tails[kind] = slot + 1;
    if (tail === 0 && deadline < this.#timerAt) this.#arm(deadline);
  }

  clear(slot: number): void {
    const kind = this.#kinds[slot] ?? TimeoutKind.none;
    if (kind === TimeoutKind.none) return;
    const next = this.#next[slot] ?? 0;
    const previous = this.#previous[slot] ?? 0;
    if (previous === 0) this.#heads[kind] = next;
    else this.#next[previous - 1] = next;
    if (next === 0) this.#tails[kind] = previous;
    else this.#previous[next - 1] = previous;
    this.#kinds[slot] = TimeoutKind.none;
  }

  release(slot: number): void {
    this.clear(slot);
  }

  /** The row that has waited longest for a timeout of this kind, or -1. */
  first(kind: number): number {
    return (this.#heads[kind] ?? 0) - 1;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timerAt = Number.NEGATIVE_INFINITY;
  }

  #arm(deadline: number): void {
    clearTimeout(this.#timer);
    this.#timerAt = deadline;
    // A timer may fire a little early: a millisecond more keeps it from finding nothing and arming itself again.
    this.#timer = setTimeout(() => this.#expire(), Math.max(0, deadline - performance.now()) + 1);
  }

  #expire(): void {
    const now = performance.now();
    this.#timerAt = Number.POSITIVE_INFINITY;
    let earliest = Number.POSITIVE_INFINITY;
    for (let kind = 1; kind < this.#heads.length; kind++) {
      for (;;) {
        const head = this.#heads[kind] ?? 0;
        if (head === 0) break;
        const deadline = this.#deadlines[head - 1] ?? 0;
        if (deadline > now) {
          earliest = Math.min(earliest, deadline);
          break;
        }
        this.clear(head - 1);
        this.#handlers.timeoutOnExpired(head - 1, kind);
      }
    }
    if (earliest < this.#timerAt) this.#arm(earliest);
  }
}
