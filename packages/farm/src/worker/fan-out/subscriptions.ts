import { BrokerError } from '@roost/broker';
import { channelNameProblem } from '../../options/channel-name.ts';
import { FarmError } from '../../api/errors.ts';
import { RowFlag } from '../rows/connection-table.ts';
import type { Core } from '../core.ts';

/**
 * Channels of connections, between hub and broker: the broker is asked for a channel when the first local subscriber
 * wants it, and told when the last one leaves. To the broker the hub's channels are those that are wanted, so it is told
 * before the hub is.
 */
export class Subscriptions {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Why a connection may not have these channels, or undefined. */
  problem(channels: readonly string[]): string | undefined {
    const { maxSubscriptionsPerConnection: max, maxChannelBytes } = this.#core.config;
    if (channels.length > max) return `at most ${max} channels a connection, got ${channels.length}`;
    for (const channel of channels) {
      const problem = channelNameProblem(channel, maxChannelBytes);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  /** Whether all of them arrive already, so that nobody has to wait. */
  areConfirmed(channels: readonly string[]): boolean {
    return channels.every((channel) => this.#core.broker.isConfirmed(channel));
  }

  /**
   * Asks the broker for channels and keeps them until {@link unhold}. Resolves to false when the broker is away, so that
   * publications may be missed; rejects when a channel could not be confirmed (then nothing is held).
   */
  async hold(channels: readonly string[]): Promise<boolean> {
    const { hub, broker } = this.#core;
    const subscribed = channels.map((channel) => {
      const outcome = broker.subscribe(channel);
      hub.hold(channel);
      return outcome;
    });
    try {
      const outcomes = await Promise.all(subscribed);
      return outcomes.every((outcome) => outcome === 'confirmed');
    } catch (error) {
      this.unhold(channels);
      throw error;
    }
  }

  unhold(channels: readonly string[]): void {
    for (const channel of channels) this.#core.hub.unhold(channel);
  }

  /** See Connection.subscribe. */
  async subscribe(slot: number, channel: string): Promise<boolean> {
    const { table, hub, config, broker } = this.#core;
    const problem = channelNameProblem(channel, this.#core.config.maxChannelBytes);
    if (problem !== undefined) throw new FarmError('FARM_ERR_CHANNEL_NAME', `${capitalised(problem)}.`);
    const max = config.maxSubscriptionsPerConnection;
    if (hub.countOf(slot, max) >= max && !hub.isSubscribed(slot, channel)) {
      throw new FarmError(
        'FARM_ERR_TOO_MANY_SUBSCRIPTIONS',
        `A connection may have ${max} channels (maxSubscriptionsPerConnection); unsubscribe from one first.`,
      );
    }
    const generation = table.generation(slot);
    const subscribed = broker.isConfirmed(channel) ? undefined : broker.subscribe(channel);
    const isNew = hub.subscribe(slot, channel);
    if (subscribed === undefined) return true;
    try {
      const outcome = await subscribed;
      if (!table.isCurrent(slot, generation)) return false;
      if (outcome === 'gap') this.markGap(slot);
      return hub.isSubscribed(slot, channel);
    } catch (error) {
      if (isNew && table.isCurrent(slot, generation)) hub.unsubscribe(slot, channel);
      throw error;
    }
  }

  /** See Connection.publish. */
  publish(channel: string, data: string | Uint8Array): Promise<void> {
    const published = this.#publish(channel, data);
    // Whoever ignores the promise must not end the process with an unhandled rejection.
    published.catch(() => undefined);
    return published;
  }

  markGap(slot: number): void {
    const { table, counters } = this.#core;
    if (table.hasFlag(slot, RowFlag.gap)) return;
    table.setFlag(slot, RowFlag.gap);
    counters.add('connections_with_gap');
  }

  /** Publications of a channel were dropped: its subscribers have missed something, and nobody else. */
  markGapOf(name: string): void {
    const { hub } = this.#core;
    const channel = hub.get(name);
    if (channel === undefined) return;
    const members = hub.membersOf(channel);
    for (let index = 0; index < channel.length; index++) {
      const slot = members[index] ?? -1;
      if (slot >= 0) this.markGap(slot);
    }
  }

  /** The broker was away: every connection with channels may have missed something. */
  markGaps(): void {
    const { table } = this.#core;
    for (let slot = 0; slot < table.highWater; slot++) {
      if (table.firstSubscriptions[slot] !== 0) this.markGap(slot);
    }
  }

  async #publish(channel: string, data: string | Uint8Array): Promise<void> {
    const problem = channelNameProblem(channel, this.#core.config.maxChannelBytes);
    if (problem !== undefined) throw new FarmError('FARM_ERR_CHANNEL_NAME', `${capitalised(problem)}.`);
    try {
      await this.#core.broker.publish(channel, typeof data === 'string' ? Buffer.from(data) : data);
    } catch (error) {
      if (error instanceof BrokerError) this.#core.counters.add('publish_errors');
      throw error;
    }
  }
}

function capitalised(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
