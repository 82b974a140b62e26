import type { MovingParts } from './moving-parts.ts';
import type { Plan } from './plan.ts';

export type ChannelHoldParts = Pick<MovingParts, 'subscriptions' | 'memberships' | 'broker' | 'counters'>;

/**
 * What a target has of the channels of a batch before any of its rows is there: it is subscribed, its users are members through
 * it too, and it counts where connections are counted. So nobody leaves when the source lets go, and no channel is vacated.
 */
export class ChannelHold {
  readonly #parts: ChannelHoldParts;
  readonly #plan: Plan;
  #isReserved = false;
  #isReleased = false;
  /** Channels that count one here which is nobody. */
  readonly #counted: (readonly [channel: string, tellsCount: boolean])[] = [];
  /** Memberships that nobody has yet. */
  readonly #members: (readonly [channel: string, user: string])[] = [];

  constructor(parts: ChannelHoldParts, plan: Plan) {
    this.#parts = parts;
    this.#plan = plan;
  }

  /** Resolves to false when it cannot be had, or was given back meanwhile. */
  async take(): Promise<boolean> {
    const { channels, counted, members } = this.#plan;
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
      for (const [channel, tellsCount] of counted) {
        if (store.subscribers(channel) > 0) continue;
        this.#counted.push([channel, tellsCount]);
        store.setSubscribers(channel, 1, { tellsCount });
      }
      const joined = members.map(async ([channel, user, info]) => {
        memberships.hold(channel, user);
        this.#members.push([channel, user]);
        const options = { maxMembers: Number.MAX_SAFE_INTEGER, mark: false, lastEvent: false };
        await store.join(channel, { user, info }, options);
      });
      await Promise.all(joined);
      // Behind the counts, which nobody answers.
      const [first] = this.#counted;
      if (first !== undefined) await store.counts([first[0]]);
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
    for (const [channel, tellsCount] of this.#counted.splice(0)) {
      broker.store.setSubscribers(channel, broker.store.subscribers(channel) - 1, { tellsCount });
    }
    this.#unreserve();
  }

  #unreserve(): void {
    if (!this.#isReserved) return;
    this.#isReserved = false;
    this.#parts.subscriptions.unreserve(this.#plan.channels);
  }
}
