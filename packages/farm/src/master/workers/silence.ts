import type { ThreadTimes } from './thread-times.ts';

/** A worker that owes us something for less than this is not looked at. It reports every second. */
const LOOK_AFTER_SILENCE_MS = 1000;
const LOOK_AFTER_HAND_OFF_MS = 250;

/** What a worker has not done for how long, in ms. */
export interface Debt {
  /** Nothing has been heard of it for so long. */
  readonly silentMs: number;
  /** It has left a hand-off unacknowledged for so long; 0 when it owes none. */
  readonly handOffMs: number;
}

/**
 * For how long a worker has not answered, and for how much of that it is itself to blame.
 *
 * A thread that would run and has no CPU is not to blame: it is starved, by other processes or by a quota of its
 * container, and killing it would only cost more CPU. Nor is one that a debugger holds. What remains is the time in which
 * it ran (a loop that never ends) or waited in a system call (one that never returns), or was stopped. The kernel's
 * file tells by state and CPU time, and is read only while a worker is late.
 */
export class Silence {
  readonly #times: () => ThreadTimes | undefined;
  #heardAt: number;
  #oldestSentAt: number | undefined;
  /** Time without blame, in all; and what it was when it was heard last, or the oldest hand-off was noticed. */
  #sparedMs = 0;
  #sparedWhenHeard = 0;
  #sparedWhenSent = 0;
  #last: (ThreadTimes & { readonly at: number }) | undefined;
  #cpuMsBefore = 0;

  /** `times` are those of its main thread; all other times are by performance.now(). */
  constructor(now: number, times: () => ThreadTimes | undefined) {
    this.#heardAt = now;
    this.#times = times;
  }

  /** It said something. */
  heard(now: number): void {
    this.#heardAt = now;
    this.#sparedWhenHeard = this.#sparedMs;
  }

  /** We were not running for `pauseMs` ourselves, and may not have read what it said. */
  forgive(now: number, pauseMs: number): void {
    this.#sparedMs += pauseMs;
    this.#last = undefined;
    this.heard(now);
  }

  /** To be called several times a second. `oldestSentAt` is that of the oldest hand-off that it has not acknowledged. */
  look(now: number, oldestSentAt: number | undefined): void {
    if (oldestSentAt !== this.#oldestSentAt) {
      this.#oldestSentAt = oldestSentAt;
      this.#sparedWhenSent = this.#sparedMs;
    }
    const { silentMs, handOffMs } = this.inAll(now);
    const isLate = silentMs > LOOK_AFTER_SILENCE_MS || handOffMs > LOOK_AFTER_HAND_OFF_MS;
    const times = isLate ? this.#times() : undefined;
    if (times === undefined) {
      this.#last = undefined;
      return;
    }
    if (this.#last === undefined) this.#cpuMsBefore = times.cpuMs;
    else this.#sparedMs += sparedMs(this.#last, times, now - this.#last.at);
    this.#last = { ...times, at: now };
  }

  /** By the clock. */
  inAll(now: number): Debt {
    return {
      silentMs: now - this.#heardAt,
      handOffMs: this.#oldestSentAt === undefined ? 0 : now - this.#oldestSentAt,
    };
  }

  /** What it is to blame for, up to the last look. */
  ofItsOwn(now: number): Debt {
    const { silentMs, handOffMs } = this.inAll(now);
    return {
      silentMs: Math.max(0, silentMs - (this.#sparedMs - this.#sparedWhenHeard)),
      handOffMs: Math.max(0, handOffMs - (this.#sparedMs - this.#sparedWhenSent)),
    };
  }

  /** Its state at the last look, and the CPU time that it has used since it was late; undefined when it is not late. */
  get thread(): ThreadTimes | undefined {
    if (this.#last === undefined) return undefined;
    return { state: this.#last.state, cpuMs: this.#last.cpuMs - this.#cpuMsBefore };
  }
}

/** How much of the time between two looks is not the thread's own. */
function sparedMs(before: ThreadTimes, after: ThreadTimes, elapsedMs: number): number {
  switch (after.state) {
    case 'R':
      // A kernel that counts none (some sandboxes are such) would have us spare a loop for ever.
      if (after.cpuMs === 0) return 0;
      return Math.max(0, elapsedMs - (after.cpuMs - before.cpuMs));
    case 't':
      return elapsedMs;
    default:
      return 0;
  }
}
