import { splitPair } from '../../channel-store/pair.ts';
import type { Truth } from '../../channel-store/store-wire.ts';
import { listOf, type Opening, type Telling } from './lease.ts';
import type { Reply } from './script-runner.ts';
import { NO_LEASE } from './scripts/script.ts';
import type { StoreSteps } from './store-steps.ts';

/** Most steps under way. */
const MAX_UNDER_WAY = 256;

export interface JoiningAgainOptions {
  readonly truth: Truth;
  readonly steps: StoreSteps;
  /** Everything is there again: what the former owner has left may go. */
  readonly onDone: (former: string) => void;
  readonly onNoLease: (owner: string) => void;
  readonly onFailed: (owner: string) => void;
}

/**
 * Tells Redis all that is true in this worker, under the name of a new owner. What is still there of the former one moves, and
 * nobody notices. What has left or changed meanwhile is removed with the former owner.
 *
 * When Redis had lost everything, nobody is announced, since nobody had left; and who has left meanwhile, unnoticed, is let in once
 * more in silence, and leaves when all other workers have joined again: only then it is known whether the user is
 * in one of those, too.
 */
export class JoiningAgain {
  readonly #options: JoiningAgainOptions;
  /** What is to leave when everything has settled. */
  #lateLeaves: readonly string[] = [];
  #lateVacated: readonly string[] = [];
  /** The telling that is under way. */
  #run: Telling | undefined;

  constructor(options: JoiningAgainOptions) {
    this.#options = options;
  }

  get telling(): Telling {
    return this.#run ?? NOTHING;
  }

  begin(opening: Opening): void {
    // The first time of all: nothing has been told, and what is to be told is known as such.
    if (opening.former === undefined && !opening.isFlushed) return;
    const { members, counts } = this.#options.truth;
    const leaves = members.takeLeaves();
    const { changed, vacated } = counts.takeChanges();
    if (opening.isFlushed) {
      this.#lateLeaves = [...this.#lateLeaves, ...leaves];
      this.#lateVacated = [...this.#lateVacated, ...vacated];
    }
    const run = { former: opening.former ?? '', isSettling: opening.isFlushed };
    this.#run = run;
    void this.#joinAll(run, opening, changed);
  }

  /** All other workers have had the time to join again. */
  settled(): void {
    const { members, counts } = this.#options.truth;
    for (const pair of this.#lateLeaves) members.addLeave(pair);
    for (const channel of this.#lateVacated) counts.addVacated(channel);
    this.#lateLeaves = [];
    this.#lateVacated = [];
  }

  end(): void {
    this.#run = undefined;
  }

  async #joinAll(run: Telling, opening: Opening, changed: ReadonlySet<string>): Promise<void> {
    const { onDone, onFailed, onNoLease } = this.#options;
    const { owner, former } = opening;
    try {
      for (const steps of [this.#memberSteps(opening), this.#countSteps(opening, changed)]) {
        const outcome = await inWindows(steps, () => this.#run === run);
        if (this.#run !== run) return;
        if (outcome === NO_LEASE) {
          onNoLease(owner);
          return;
        }
      }
      this.#run = undefined;
      if (former !== undefined) onDone(former);
    } catch {
      if (this.#run === run) onFailed(owner);
    }
  }

  *#memberSteps({ owner, former, isFlushed }: Opening): Iterable<() => Promise<Reply> | undefined> {
    const { truth, steps } = this.#options;
    const join = (pair: string, info: string, isQuiet: boolean, isWanted: () => boolean): Promise<Reply> => {
      const [channel, user] = splitPair(pair);
      return steps.joinAgain(owner, channel, { user, info }, { former, isQuiet }, isWanted);
    };
    for (const pair of truth.members.pairs()) {
      yield () => {
        const info = truth.members.infoOf(pair);
        const isWanted = (): boolean => truth.members.infoOf(pair) !== undefined;
        return info === undefined ? undefined : join(pair, info, isFlushed, isWanted);
      };
    }
    for (const pair of this.#lateLeaves) yield () => join(pair, '', true, () => true);
  }

  *#countSteps(
    { owner, former, isFlushed }: Opening,
    changed: ReadonlySet<string>,
  ): Iterable<() => Promise<Reply> | undefined> {
    const { counts } = this.#options.truth;
    const { steps } = this.#options;
    for (const channel of counts.channels()) {
      yield () => {
        const count = counts.count(channel);
        if (count === 0) return undefined;
        const isQuiet = isFlushed || (changed.has(channel) ? false : 'unlessGone');
        return steps.count(owner, { channel, count, tellsCount: counts.tells(channel), former, isQuiet });
      };
    }
    for (const channel of this.#lateVacated) {
      yield () => steps.count(owner, { channel, count: 1, tellsCount: false, isQuiet: true });
    }
  }
}

const NOTHING: Telling = { former: '', isSettling: false };

/** Takes all steps, not too many at a time. Ends early when one finds no lease; rejects when one fails. */
async function inWindows(
  steps: Iterable<() => Promise<Reply> | undefined>,
  isWanted: () => boolean,
): Promise<typeof NO_LEASE | undefined> {
  const iterator = steps[Symbol.iterator]();
  let outcome: typeof NO_LEASE | undefined;
  const takeTurns = async (): Promise<void> => {
    for (let next = iterator.next(); next.done !== true; next = iterator.next()) {
      const reply = await next.value();
      if (reply !== undefined && listOf(reply)[0] === NO_LEASE) outcome = NO_LEASE;
      if (outcome !== undefined || !isWanted()) return;
    }
  };
  await Promise.all(Array.from({ length: MAX_UNDER_WAY }, takeTurns));
  return outcome;
}
