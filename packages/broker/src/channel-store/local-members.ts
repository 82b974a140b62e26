import { PairTable } from './pair-table.ts';
import { pairOf } from './pair.ts';

/** The joins of one user to one channel that are under way together. */
export interface Attempt {
  readonly pair: string;
  count: number;
  /** One of them may have succeeded unseen, or a leave was taken back for them. */
  isDoubtful: boolean;
}

/** A leave that is not known to be done. */
export interface Leave {
  readonly pair: string;
  isUnderWay: boolean;
}

/**
 * Who is in which channel through this worker: the truth of the matter, whatever the other side knows of it.
 *
 * ```
 * absent ─join─► joining ─joined─► joined ─leave─► leaving ─done─► absent
 *    ▲             │  └── full, failed ──┘ (unless one of several joins has succeeded)
 *    └─────────────┴── leave ──► leaving; a join takes a leave back
 * ```
 *
 * Who is joined costs a record of bytes: the pair, and what is known of the user.
 */
export class LocalMembers {
  readonly #joined = new PairTable();
  readonly #joining = new Map<string, Attempt>();
  readonly #leaving = new Map<string, Leave>();

  /** Whether the user is joined, or a join is under way. */
  has(channel: string, user: string): boolean {
    const pair = pairOf(channel, user);
    return this.#joined.has(pair) || this.#joining.has(pair);
  }

  /** A join is called. */
  begin(channel: string, user: string): Attempt {
    const pair = pairOf(channel, user);
    const isDoubtful = this.#leaving.delete(pair);
    let attempt = this.#joining.get(pair);
    if (attempt === undefined) {
      attempt = { pair, count: 0, isDoubtful };
      this.#joining.set(pair, attempt);
    }
    attempt.count++;
    return attempt;
  }

  /** Whether the user has not left since. */
  isCurrent(attempt: Attempt): boolean {
    return this.#joining.get(attempt.pair) === attempt;
  }

  succeeded(attempt: Attempt, info: string): void {
    if (this.isCurrent(attempt) && !this.#joined.has(attempt.pair)) {
      this.#joined.add(attempt.pair, info);
    }
    this.#end(attempt);
  }

  /** The channel is full: the user was not in it either. */
  wasFull(attempt: Attempt): void {
    attempt.isDoubtful = false;
    this.#end(attempt);
  }

  /** Nothing was sent. Returns a leave that is to be sent. */
  hadNoEffect(attempt: Attempt): Leave | undefined {
    return this.#end(attempt);
  }

  /** It may have happened, and is taken back then: returns a leave that is to be sent. */
  isUncertain(attempt: Attempt): Leave | undefined {
    attempt.isDoubtful = true;
    return this.#end(attempt);
  }

  /** The last connection has left. Returns the leave that is to be sent; undefined: the user was not there. */
  leave(channel: string, user: string): Leave | undefined {
    const pair = pairOf(channel, user);
    const wasJoined = this.#joined.delete(pair);
    const wasJoining = this.#joining.delete(pair);
    return wasJoined || wasJoining ? this.#leaves(pair) : undefined;
  }

  /** Leaves that are not under way. */
  *leavesToSend(): Iterable<Leave> {
    for (const leave of this.#leaving.values()) if (!leave.isUnderWay) yield leave;
  }

  /** Whether the leave is still to be done. */
  isDue(leave: Leave): boolean {
    return this.#leaving.get(leave.pair) === leave;
  }

  leaveDone(leave: Leave): void {
    if (this.isDue(leave)) this.#leaving.delete(leave.pair);
  }

  /** What was to leave is forgotten, and returned. */
  takeLeaves(): readonly string[] {
    const pairs = [...this.#leaving.keys()];
    this.#leaving.clear();
    return pairs;
  }

  /** Makes a pair leave that nobody here knows of. */
  addLeave(pair: string): void {
    if (!this.#joined.has(pair) && !this.#joining.has(pair)) this.#leaves(pair);
  }

  /** Those who are joined at this moment; whoever walks asks {@link infoOf} whether they still are. */
  pairs(): readonly string[] {
    return this.#joined.pairs();
  }

  /** What is known of a user who is joined. */
  infoOf(pair: string): string | undefined {
    return this.#joined.get(pair);
  }

  #end(attempt: Attempt): Leave | undefined {
    attempt.count--;
    if (attempt.count > 0 || !this.isCurrent(attempt)) return undefined;
    const { pair } = attempt;
    this.#joining.delete(pair);
    return attempt.isDoubtful && !this.#joined.has(pair) ? this.#leaves(pair) : undefined;
  }

  #leaves(pair: string): Leave {
    const leave = { pair, isUnderWay: false };
    this.#leaving.set(pair, leave);
    return leave;
  }
}
