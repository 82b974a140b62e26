import { DeadlineQueue } from '../deadline-queue.ts';
import { ownString } from '../own-string.ts';

/** Between two tellings of one channel, in ms, as long as it stays subscribed. */
const INTERVAL_MS = 1_000;
/** The same where each telling is a message to every subscriber, and these are many. */
const CROWD_INTERVAL_MS = 5_000;
const CROWD = 100;

/** A channel whose count has changed lately. */
interface Change {
  /** What the other side knows. */
  told: number;
  /** Whether its end is told to subscribers, once there are none here. */
  tellsLast: boolean;
  /** `due`: to be told now. `told`: it was told less than an interval ago, so whatever changes waits. */
  state: 'due' | 'underWay' | 'told';
}

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
      this.#onDue({ channel, change });
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
    for (const [channel, change] of this.#changes) if (change.state === 'due') yield { channel, change };
  }

  /** The other side knows this count; so many are subscribed to the channel altogether. */
  succeeded({ channel, change }: Telling, count: number, total: number): void {
    if (!this.isDue({ channel, change })) return;
    change.told = count;
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
  failed({ change }: Telling): void {
    change.state = 'due';
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
    this.#onDue({ channel, change });
  }

  #rested(channel: string): void {
    const change = this.#changes.get(channel);
    if (change === undefined) return;
    if (change.told === this.count(channel)) this.#changes.delete(channel);
    else this.#due(channel, change);
  }
}
