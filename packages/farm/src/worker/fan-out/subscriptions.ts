import { BrokerError, type Broker, type ChannelStore } from '@roost/broker';
import type { PublishOptions } from '../../api/channel-publication.ts';
import type { Counters } from '../../api/counters.ts';
import { FarmError } from '../../api/errors.ts';
import { channelNameProblem } from '../../options/channel-name.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { AppHost } from '../app/app-host.ts';
import { RowFlag, type ConnectionTable } from '../rows/connection-table.ts';
import type { PendingWork } from '../rows/pending-work.ts';
import type { RowOwner } from '../rows/row-owner.ts';
import type { ChannelKnowledge } from './channel-knowledge.ts';
import type { Hub } from './hub.ts';
import type { Memberships } from './memberships.ts';
import type { Occupancy } from './occupancy.ts';
import { publicationAttributes } from './publication-attributes.ts';

export interface SubscriptionsParts {
  readonly config: Pick<FarmConfig, 'maxSubscriptionsPerConnection' | 'maxChannelBytes'>;
  readonly table: ConnectionTable;
  readonly counters: Counters;
  readonly hub: Hub;
  readonly broker: Pick<Broker, 'isConfirmed' | 'publish' | 'subscribe' | 'unsubscribe'> & {
    readonly store: Pick<ChannelStore, 'publishLast'>;
  };
  readonly apps: Pick<AppHost, 'hasCloseHook'>;
  readonly pendingWork: PendingWork;
}

/** Parts that are made of subscriptions, and are told of their ends. */
export interface SubscriptionsDependents {
  readonly memberships: Pick<Memberships, 'leave' | 'leaveAll'>;
  readonly occupancy: Pick<Occupancy, 'counts' | 'joined' | 'left'>;
  readonly knowledge: Pick<ChannelKnowledge, 'forget'>;
  readonly joins: {
    /** The connection leaves a channel that it may be about to join. True when it was. */
    cancel(slot: number, channel: string): boolean;
  };
}

/**
 * Channels of connections, between hub and broker: the broker is asked for a channel when the first local subscriber
 * wants it, and told when the last one leaves. To the broker the hub's channels are those that are wanted, so it is asked
 * before the hub is. Only this part touches both.
 */
export class Subscriptions implements RowOwner {
  readonly #maxPerConnection: number;
  readonly #maxChannelBytes: number;
  readonly #table: ConnectionTable;
  readonly #counters: Counters;
  readonly #hub: Hub;
  readonly #broker: SubscriptionsParts['broker'];
  readonly #apps: Pick<AppHost, 'hasCloseHook'>;
  readonly #pending: PendingWork;
  #memberships!: SubscriptionsDependents['memberships'];
  #occupancy!: SubscriptionsDependents['occupancy'];
  #knowledge!: SubscriptionsDependents['knowledge'];
  #joins!: SubscriptionsDependents['joins'];
  /** Channels that closing rows have left, for their close hooks. */
  readonly #left = new Map<number, readonly string[]>();

  constructor({ config, table, counters, hub, broker, apps, pendingWork }: SubscriptionsParts) {
    this.#maxPerConnection = config.maxSubscriptionsPerConnection;
    this.#maxChannelBytes = config.maxChannelBytes;
    this.#table = table;
    this.#counters = counters;
    this.#hub = hub;
    this.#broker = broker;
    this.#apps = apps;
    this.#pending = pendingWork;
    hub.connect((channel) => {
      broker.unsubscribe(channel);
      this.#knowledge.forget(channel);
    });
  }

  /** Given once: what depends on subscriptions, and must know when they end. */
  connect({ memberships, occupancy, knowledge, joins }: SubscriptionsDependents): void {
    this.#memberships = memberships;
    this.#occupancy = occupancy;
    this.#knowledge = knowledge;
    this.#joins = joins;
  }

  /** Channels with a subscriber here. */
  get channelCount(): number {
    return this.#hub.channelCount;
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

  /** Whether the row has no channel but these. */
  hasOnly(slot: number, channels: ReadonlySet<string>): boolean {
    return this.#hub.hasOnly(slot, channels);
  }

  /** The channels that the row has, or had when its close began. */
  lastChannelsOf(slot: number): readonly string[] {
    return this.#left.get(slot) ?? this.#hub.subscriptionsOf(slot);
  }

  /** Why a connection may not have these channels, or undefined. */
  problem(channels: readonly string[]): string | undefined {
    const max = this.#maxPerConnection;
    if (channels.length > max) return `at most ${max} channels per connection, got ${channels.length}`;
    for (const channel of channels) {
      const problem = channelNameProblem(channel, this.#maxChannelBytes);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  /** Whether all of them arrive already, so that nobody has to wait. */
  areConfirmed(channels: readonly string[]): boolean {
    for (const channel of channels) if (!this.#broker.isConfirmed(channel)) return false;
    return true;
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

  unreserve(channels: Iterable<string>): void {
    for (const channel of channels) this.#hub.unreserve(channel);
  }

  /** Subscribes a connection that opens to channels that the broker has confirmed, or that are reserved. */
  join(slot: number, channels: readonly string[]): void {
    for (const channel of channels) this.enter(slot, channel);
  }

  /** As {@link join}, one channel. False when the connection is subscribed already. */
  enter(slot: number, channel: string): boolean {
    if (!this.#hub.subscribe(slot, channel)) return false;
    if (this.#occupancy.counts(slot)) this.#occupancy.joined(slot, channel);
    return true;
  }

  isSubscribed(slot: number, channel: string): boolean {
    return this.#hub.isSubscribed(slot, channel);
  }

  /** Throws a FarmError when the connection can have no such channel, or none beside those that it has and will have. */
  checkRoom(slot: number, channel: string, pendingCount = 0): void {
    const hub = this.#hub;
    const max = this.#maxPerConnection;
    checkChannelName(channel, this.#maxChannelBytes);
    if (hub.countOf(slot, max) + pendingCount < max || hub.isSubscribed(slot, channel)) return;
    throw new FarmError(
      'FARM_ERR_TOO_MANY_SUBSCRIPTIONS',
      `A connection may have ${max} channels (maxSubscriptionsPerConnection); unsubscribe from one first.`,
    );
  }

  /** See Connection.subscribe. */
  async subscribe(slot: number, channel: string): Promise<boolean> {
    const table = this.#table;
    const hub = this.#hub;
    this.checkRoom(slot, channel);
    const generation = table.generation(slot);
    const pending = this.#pending;
    const subscribed = this.#broker.isConfirmed(channel) ? undefined : this.#broker.subscribe(channel);
    const isNew = this.enter(slot, channel);
    if (subscribed === undefined) return true;
    pending.begin(slot, generation);
    try {
      const outcome = await subscribed;
      if (!table.isCurrent(slot, generation)) return false;
      if (outcome === 'gap') this.markGap(slot);
      return hub.isSubscribed(slot, channel);
    } catch (error) {
      if (isNew && table.isCurrent(slot, generation)) this.#leave(slot, channel);
      throw error;
    } finally {
      pending.end(slot, generation);
    }
  }

  /** False when the connection was neither subscribed nor about to be. */
  unsubscribe(slot: number, channel: string): boolean {
    const wasJoining = this.#joins.cancel(slot, channel);
    return this.#leave(slot, channel) || wasJoining;
  }

  /** A close has begun: nothing is published to the row any more. Its close hook still gets the channels. */
  leave(slot: number): void {
    if (this.#table.firstSubscriptions[slot] === 0) return;
    if (this.#apps.hasCloseHook(this.#table.apps[slot] ?? 0)) {
      this.#left.set(slot, this.#hub.subscriptionsOf(slot));
    }
    this.#leaveAll(slot);
  }

  /**
   * The row is on its way to another worker: nothing is published to it here, but it is still the member that it was, and
   * counted. {@link resume} or {@link gone} follows; until then somebody must {@link keep} its channels.
   */
  suspend(slot: number): void {
    this.#hub.unsubscribeAll(slot);
  }

  /** The row has not moved after all. */
  resume(slot: number, channels: readonly string[]): void {
    for (const channel of channels) this.#hub.subscribe(slot, channel);
  }

  /** A suspended row has moved, or has ended. */
  gone(slot: number, channels: readonly string[]): void {
    this.#memberships.leaveAll(slot);
    if (!this.#occupancy.counts(slot)) return;
    for (const channel of channels) this.#occupancy.left(slot, channel);
  }

  /** Keeps channels that have a subscriber here, until {@link unreserve}. */
  keep(channels: Iterable<string>): void {
    for (const channel of channels) this.#hub.reserve(channel);
  }

  release(slot: number): void {
    this.#left.delete(slot);
    this.#leaveAll(slot);
  }

  /** See Connection.publish. */
  publish(channel: string, data: string | Uint8Array, options?: PublishOptions): Promise<void> {
    const published = this.#publish(channel, data, options);
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

  #leave(slot: number, channel: string): boolean {
    // While it is still known by the hub's name for it.
    this.#memberships.leave(slot, channel);
    if (!this.#hub.unsubscribe(slot, channel)) return false;
    if (this.#occupancy.counts(slot)) this.#occupancy.left(slot, channel);
    return true;
  }

  #leaveAll(slot: number): void {
    if (this.#table.firstSubscriptions[slot] === 0) return;
    this.#memberships.leaveAll(slot);
    const counted = this.#occupancy.counts(slot) ? this.#hub.subscriptionsOf(slot) : [];
    this.#hub.unsubscribeAll(slot);
    for (const channel of counted) this.#occupancy.left(slot, channel);
  }

  async #publish(
    channel: string,
    data: string | Uint8Array,
    options: PublishOptions | undefined,
  ): Promise<void> {
    checkChannelName(channel, this.#maxChannelBytes);
    const attributes = options === undefined ? undefined : publicationAttributes(options);
    const payload = typeof data === 'string' ? Buffer.from(data) : data;
    try {
      const keepMs = options?.keepMs;
      if (keepMs === undefined) await this.#broker.publish(channel, payload, attributes);
      else await this.#broker.store.publishLast(channel, payload, attributes ?? {}, keepMs);
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
