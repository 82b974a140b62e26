import { DeadlineQueue } from '../deadline-queue.ts';
import { ownString } from '../own-string.ts';

/** Between two tellings of one channel, in ms, as long as it stays subscribed. */
const INTERVAL_MS = 1_000;
/** The same where each telling is a message to every subscriber, and these are many. */
const CROWD_INTERVAL_MS = 5_000;
const CROWD = 100;

/** A channel whose count has changed lately. */
interface Change {
  /** What the other side knows; {@link UNKNOWN}. */
  told: number;
  /** Whether its end is told to subscribers, once there are none here. */
  tellsLast: boolean;
  /** `due`: to be told now. `told`: it was told less than an interval ago, so whatever changes waits. */
  state: 'due' | 'underWay' | 'told';
}

/** It may know anything. */
const UNKNOWN = -1;

/** A count to tell. */
export interface Telling {
  readonly channel: string;
  readonly change: Change;
}

/**
 * How many connections of this worker are subscribed to which channel, and what of that is still to be told. The first and
 * the last subscriber of a channel are told at once, and so is any change after a quiet interval; what changes within
 * it is told at its end, as one.
 */
export class LocalCounts {
  readonly #onDue: (telling: Telling) => void;
  /** Twice the count, and 1 more where it is told to subscribers. */
  readonly #counts = new Map<string, number>();
  readonly #changes = new Map<string, Change>();
  /** How many holds there are of a channel, of which nothing is told meanwhile. */
  readonly #holds = new Map<string, number>();
  /** Who waits until nothing is under way of a channel. */
  readonly #waiting = new Map<string, (() => void)[]>();
  readonly #resting = new DeadlineQueue<string>(INTERVAL_MS, (channel) => this.#rested(channel));
  readonly #restingLong = new DeadlineQueue<string>(CROWD_INTERVAL_MS, (channel) => this.#rested(channel));

  /** `onDue`: this is to be told now. */
  constructor(onDue: (telling: Telling) => void) {
    this.#onDue = onDue;
  }

  set(channel: string, count: number, tellsCount: boolean): void {
    const before = this.count(channel);
    let change = this.#changes.get(channel);
    if (count === 0) this.#counts.delete(channel);
    else this.#counts.set(before === 0 ? ownString(channel) : channel, 2 * count + Number(tellsCount));
    if (change === undefined) {
      if (count === before) return;
      change = { told: before, tellsLast: tellsCount, state: 'due' };
      this.#changes.set(ownString(channel), change);
      this.#tell(channel, change);
      return;
    }
    change.tellsLast = tellsCount;
    if (change.state === 'told' && (count === 0) !== (change.told === 0)) this.#due(channel, change);
  }

  count(channel: string): number {
    return (this.#counts.get(channel) ?? 0) >> 1;
  }

  /** Whether the count is told to subscribers. */
  tells(channel: string): boolean {
    const count = this.#counts.get(channel);
    return count === undefined ? (this.#changes.get(channel)?.tellsLast ?? false) : (count & 1) === 1;
  }

  /** What is to be told and not under way. */
  *tellings(): Iterable<Telling> {
    for (const [channel, change] of this.#changes) {
      if (change.state === 'due' && !this.#holds.has(channel)) yield { channel, change };
    }
  }

  /** The other side knows this count; so many are subscribed to the channel altogether. */
  succeeded({ channel, change }: Telling, count: number, total: number): void {
    if (!this.isDue({ channel, change })) return;
    change.told = count;
    this.#isQuiet(channel);
    if ((this.count(channel) === 0) !== (count === 0)) {
      this.#due(channel, change);
      return;
    }
    change.state = 'told';
    (this.tells(channel) && total > CROWD ? this.#restingLong : this.#resting).add(channel);
  }

  begin({ change }: Telling): void {
    change.state = 'underWay';
  }

  /** Whether it is still to be told. */
  isDue({ channel, change }: Telling): boolean {
    return this.#changes.get(channel) === change;
  }

  /** It is tried again. */
  failed({ channel, change }: Telling): void {
    change.state = 'due';
    this.#isQuiet(channel);
  }

  /** From now on nothing is told of the channel, until {@link release}. Resolves when nothing is under way any more. */
  hold(channel: string): Promise<void> {
    const holds = this.#holds.get(channel) ?? 0;
    this.#holds.set(holds === 0 ? ownString(channel) : channel, holds + 1);
    if (this.#changes.get(channel)?.state !== 'underWay') return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.set(channel, [...(this.#waiting.get(channel) ?? []), resolve]);
    });
  }

  /** What has changed is told now. */
  release(channel: string): void {
    const holds = this.#holds.get(channel) ?? 0;
    if (holds > 1) {
      this.#holds.set(channel, holds - 1);
      return;
    }
    this.#holds.delete(channel);
    const change = this.#changes.get(channel);
    if (change?.state !== 'due') return;
    if (change.told === this.count(channel)) this.#changes.delete(channel);
    else this.#onDue({ channel, change });
  }

  /** The other side knows of so many more, or fewer, that have changed their worker; undefined: of how many is not known. */
  shifted(channel: string, by: number | undefined): void {
    const change = this.#changes.get(channel) ?? {
      told: this.count(channel),
      tellsLast: this.tells(channel),
      state: 'due',
    };
    change.told = by === undefined || change.told === UNKNOWN ? UNKNOWN : change.told + by;
    this.#changes.set(ownString(channel), change);
    const isToldTooLate = change.told === UNKNOWN || (change.told === 0) !== (this.count(channel) === 0);
    if (change.state === 'told' && isToldTooLate) this.#due(channel, change);
  }

  /** All channels with subscribers, to be told to somebody who knows nothing of this worker. */
  channels(): readonly string[] {
    return [...this.#counts.keys()];
  }

  /** Forgets what is to be told, and returns its channels: those with subscribers, and those without any now. */
  takeChanges(): { readonly changed: ReadonlySet<string>; readonly vacated: readonly string[] } {
    const changed = new Set<string>();
    const vacated: string[] = [];
    for (const [channel, change] of this.#changes) {
      if (change.state === 'told' && change.told === this.count(channel)) continue;
      if (this.count(channel) > 0) changed.add(channel);
      else vacated.push(channel);
    }
    this.#changes.clear();
    for (const channel of this.#waiting.keys()) this.#isQuiet(channel);
    this.#resting.clear();
    this.#restingLong.clear();
    return { changed, vacated };
  }

  /** Makes a channel be told that has no subscribers here, although it was told that already. */
  addVacated(channel: string): void {
    if (this.count(channel) > 0 || this.#changes.has(channel)) return;
    this.#changes.set(channel, { told: 1, tellsLast: false, state: 'due' });
  }

  stop(): void {
    this.#resting.clear();
    this.#restingLong.clear();
  }

  #due(channel: string, change: Change): void {
    this.#resting.remove(channel);
    this.#restingLong.remove(channel);
    change.state = 'due';
    this.#tell(channel, change);
  }

  #tell(channel: string, change: Change): void {
    if (!this.#holds.has(channel)) this.#onDue({ channel, change });
  }

  #isQuiet(channel: string): void {
    for (const resolve of this.#waiting.get(channel) ?? []) resolve();
    this.#waiting.delete(channel);
  }

  #rested(channel: string): void {
    const change = this.#changes.get(channel);
    if (change === undefined) return;
    if (change.told === this.count(channel)) this.#changes.delete(channel);
    else this.#due(channel, change);
  }
}
