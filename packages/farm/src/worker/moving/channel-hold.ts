import type { MovingParts } from './moving-parts.ts';
import type { Plan, Taken } from './plan.ts';

export type ChannelHoldParts = Pick<MovingParts, 'subscriptions' | 'memberships' | 'broker' | 'counters'>;

/**
 * What a target has of the channels of a batch before any of its rows is there: it is subscribed, its users are members through
 * it too, and says nothing of counts until it has taken over those of the source. So nobody leaves when the source lets go, and no sum
 * changes.
 */
export class ChannelHold {
  readonly #parts: ChannelHoldParts;
  readonly #plan: Plan;
  #isReserved = false;
  #isReleased = false;
  #isCountHeld = false;
  readonly #names: readonly string[];
  /** What was counted here before the rows came, by the places of `counted`. */
  #before: readonly number[] | undefined;
  /** Memberships that nobody has yet. */
  readonly #members: (readonly [channel: string, user: string])[] = [];

  constructor(parts: ChannelHoldParts, plan: Plan) {
    this.#parts = parts;
    this.#plan = plan;
    this.#names = plan.counted.map(([channel]) => channel);
  }

  /** Resolves to false when it cannot be had, or was given back meanwhile. */
  async take(): Promise<boolean> {
    const { channels, members } = this.#plan;
    const { subscriptions, memberships, broker } = this.#parts;
    const { store } = broker;
    try {
      const arrives = await subscriptions.reserve(channels);
      this.#isReserved = true;
      if (!arrives) this.release();
      if (this.#isReleased) {
        this.#unreserve();
        return false;
      }
      this.#isCountHeld = true;
      await store.holdCounts(this.#names);
      // What nobody will give back must not be had.
      if (this.#isReleased) return false;
      const joined = members.map(async ([channel, user, info]) => {
        memberships.hold(channel, user);
        this.#members.push([channel, user]);
        const options = { maxMembers: Number.MAX_SAFE_INTEGER, mark: false, lastEvent: false };
        await store.join(channel, { user, info }, options);
      });
      await Promise.all(joined);
      return !this.#isReleased;
    } catch {
      this.release();
      return false;
    }
  }

  /** The row, which is subscribed to the channel, is the member that was held for it. */
  member(slot: number, channel: string, user: string): void {
    const index = this.#members.findIndex(([ofChannel, name]) => ofChannel === channel && name === user);
    if (index === -1) return;
    this.#members.splice(index, 1);
    this.#parts.memberships.add(slot, channel, user);
  }

  /** What nobody has become. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    const { memberships, broker } = this.#parts;
    for (const [channel, user] of this.#members.splice(0)) memberships.release(channel, user);
    this.#unreserve();
    if (this.#before === undefined && this.#isCountHeld) broker.store.releaseCounts(this.#names);
  }

  /** The rows are about to be subscribed: what is counted until {@link takeCounts} has come with them. */
  beginCounts(): void {
    const { store } = this.#parts.broker;
    this.#before = this.#names.map((channel) => store.subscribers(channel));
  }

  /** The rows are subscribed: takes what the source has told of them, and tells what it had not. Resolves to what was taken. */
  async takeCounts(): Promise<Taken> {
    const { store } = this.#parts.broker;
    const { counted, owner } = this.#plan;
    const before = this.#before ?? [];
    const taken = counted.map(async ([channel, tellsCount], index) => {
      const came = store.subscribers(channel) - (before[index] ?? 0);
      if (came <= 0 || owner === undefined) return 0;
      try {
        return await store.takeCount(channel, owner, came, { tellsCount });
      } catch {
        return null;
      }
    });
    try {
      return await Promise.all(taken);
    } finally {
      store.releaseCounts(this.#names);
    }
  }

  #unreserve(): void {
    if (!this.#isReserved) return;
    this.#isReserved = false;
    this.#parts.subscriptions.unreserve(this.#plan.channels);
  }
}
