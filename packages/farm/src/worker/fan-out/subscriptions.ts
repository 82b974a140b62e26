import { BrokerError, type Broker } from '@roost/broker';
import type { Counters } from '../../api/counters.ts';
import { FarmError } from '../../api/errors.ts';
import { channelNameProblem } from '../../options/channel-name.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { AppHost } from '../app/app-host.ts';
import { RowFlag, type ConnectionTable } from '../rows/connection-table.ts';
import type { RowOwner } from '../rows/row-owner.ts';
import type { Hub } from './hub.ts';

export interface SubscriptionsParts {
  readonly config: Pick<FarmConfig, 'maxSubscriptionsPerConnection' | 'maxChannelBytes'>;
  readonly table: ConnectionTable;
  readonly counters: Counters;
  readonly hub: Hub;
  readonly broker: Pick<Broker, 'isConfirmed' | 'publish' | 'subscribe' | 'unsubscribe'>;
  readonly apps: Pick<AppHost, 'hasCloseHook'>;
}

/**
 * Channels of connections, between hub and broker: the broker is asked for a channel when the first local subscriber
 * wants it, and told when the last one leaves. To the broker the hub's channels are those that are wanted, so it is asked
 * before the hub is. Only this part touches both.
 */
export class Subscriptions implements RowOwner {
  readonly #config: SubscriptionsParts['config'];
  readonly #table: ConnectionTable;
  readonly #counters: Counters;
  readonly #hub: Hub;
  readonly #broker: SubscriptionsParts['broker'];
  readonly #apps: Pick<AppHost, 'hasCloseHook'>;
  /** Channels that closing rows have left, for their close hooks. */
  readonly #left = new Map<number, readonly string[]>();

  constructor({ config, table, counters, hub, broker, apps }: SubscriptionsParts) {
    this.#config = config;
    this.#table = table;
    this.#counters = counters;
    this.#hub = hub;
    this.#broker = broker;
    this.#apps = apps;
    hub.connect((channel) => broker.unsubscribe(channel));
  }

  /** Subscriptions of all connections. */
  get count(): number {
    return this.#hub.subscriptionCount;
  }

  /** Each channel that has subscribers in this worker, and how many. */
  subscriberCounts(): IterableIterator<[name: string, count: number]> {
    return this.#hub.subscriberCounts();
  }

  /** Slots of a channel's subscribers in this worker: a copy. */
  subscribersOf(channel: string): Int32Array {
    return this.#hub.subscribersOf(channel);
  }

  channelsOf(slot: number): readonly string[] {
    return this.#hub.subscriptionsOf(slot);
  }

  /** The channels that the row has, or had when its close began. */
  lastChannelsOf(slot: number): readonly string[] {
    return this.#left.get(slot) ?? this.#hub.subscriptionsOf(slot);
  }

  /** Why a connection may not have these channels, or undefined. */
  problem(channels: readonly string[]): string | undefined {
    const { maxSubscriptionsPerConnection: max, maxChannelBytes } = this.#config;
    if (channels.length > max) return `at most ${max} channels per connection, got ${channels.length}`;
    for (const channel of channels) {
      const problem = channelNameProblem(channel, maxChannelBytes);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  /** Whether all of them arrive already, so that nobody has to wait. */
  areConfirmed(channels: readonly string[]): boolean {
    return channels.every((channel) => this.#broker.isConfirmed(channel));
  }

  /**
   * Asks the broker for channels and keeps them until {@link unreserve}. Resolves to false when the broker is away, so that
   * publications may be missed; rejects when a channel could not be confirmed (then nothing is reserved).
   */
  async reserve(channels: readonly string[]): Promise<boolean> {
    const subscribed = channels.map((channel) => {
      const outcome = this.#broker.subscribe(channel);
      this.#hub.reserve(channel);
      return outcome;
    });
    try {
      const outcomes = await Promise.all(subscribed);
      return outcomes.every((outcome) => outcome === 'confirmed');
    } catch (error) {
      this.unreserve(channels);
      throw error;
    }
  }

  unreserve(channels: readonly string[]): void {
    for (const channel of channels) this.#hub.unreserve(channel);
  }

  /** Subscribes a connection that opens to channels that the broker has confirmed, or that are reserved. */
  join(slot: number, channels: readonly string[]): void {
    for (const channel of channels) this.#hub.subscribe(slot, channel);
  }

  /** See Connection.subscribe. */
  async subscribe(slot: number, channel: string): Promise<boolean> {
    const table = this.#table;
    const hub = this.#hub;
    const { maxSubscriptionsPerConnection: max, maxChannelBytes } = this.#config;
    checkChannelName(channel, maxChannelBytes);
    if (hub.countOf(slot, max) >= max && !hub.isSubscribed(slot, channel)) {
      throw new FarmError(
        'FARM_ERR_TOO_MANY_SUBSCRIPTIONS',
        `A connection may have ${max} channels (maxSubscriptionsPerConnection); unsubscribe from one first.`,
      );
    }
    const generation = table.generation(slot);
    const subscribed = this.#broker.isConfirmed(channel) ? undefined : this.#broker.subscribe(channel);
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

  /** False when the connection was not subscribed. */
  unsubscribe(slot: number, channel: string): boolean {
    return this.#hub.unsubscribe(slot, channel);
  }

  /** A close has begun: nothing is published to the row any more. Its close hook still gets the channels. */
  leave(slot: number): void {
    if (this.#table.firstSubscriptions[slot] === 0) return;
    if (this.#apps.hasCloseHook(this.#table.apps[slot] ?? 0)) {
      this.#left.set(slot, this.#hub.subscriptionsOf(slot));
    }
    this.#hub.unsubscribeAll(slot);
  }

  release(slot: number): void {
    this.#left.delete(slot);
    this.#hub.unsubscribeAll(slot);
  }

  /** See Connection.publish. */
  publish(channel: string, data: string | Uint8Array): Promise<void> {
    const published = this.#publish(channel, data);
    // An app that ignores the promise must not end the process with an unhandled rejection.
    published.catch(() => undefined);
    return published;
  }

  markGap(slot: number): void {
    if (this.#table.hasFlag(slot, RowFlag.gap)) return;
    this.#table.setFlag(slot, RowFlag.gap);
    this.#counters.add('connections_with_gap');
  }

  /** Publications of a channel were dropped: its subscribers have missed something, and nobody else. */
  markGapOf(channel: string): void {
    for (const slot of this.#hub.subscribersOf(channel)) this.markGap(slot);
  }

  /** The broker was away: every connection with channels may have missed something. */
  markGaps(): void {
    const table = this.#table;
    for (let slot = 0; slot < table.highWater; slot++) {
      if (table.firstSubscriptions[slot] !== 0) this.markGap(slot);
    }
  }

  async #publish(channel: string, data: string | Uint8Array): Promise<void> {
    checkChannelName(channel, this.#config.maxChannelBytes);
    try {
      await this.#broker.publish(channel, typeof data === 'string' ? Buffer.from(data) : data);
    } catch (error) {
      if (error instanceof BrokerError) this.#counters.add('publish_errors');
      throw error;
    }
  }
}

function checkChannelName(channel: string, maxChannelBytes: number): void {
  const problem = channelNameProblem(channel, maxChannelBytes);
  if (problem === undefined) return;
  throw new FarmError('FARM_ERR_CHANNEL_NAME', `${problem.charAt(0).toUpperCase()}${problem.slice(1)}.`);
}
