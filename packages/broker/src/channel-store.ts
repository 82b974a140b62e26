import type { PublishResult } from './broker.ts';
import type { PublicationAttributes } from './envelope.ts';

/** A user in a channel, however many connections of the user are subscribed. */
export interface Member {
  /** 1 to 65,535 bytes of UTF-8. */
  readonly user: string;
  /** What the others may know of the user, as JSON text; may be empty. That of the first who joined stands. */
  readonly info: string;
}

/** The last event that was kept for a channel. */
export interface LastEvent {
  /** The name of the event; undefined when it was published without one. */
  readonly event: string | undefined;
  readonly payload: Buffer;
  /** For how long it is kept yet, in ms: at least 1. */
  readonly ttlMs: number;
}

/**
 * What is known of a channel at one version.
 *
 * A version stands for the channel's members and its last event. Each change of them is published in an envelope that has
 * the version after it, and the versions of a channel only grow, over the loss of everything that Redis knew, too (they are
 * microseconds of the server's clock, or one more than the last). So who has served an envelope of version v has served
 * every change up to v, and a snapshot of version s lacks exactly the changes in envelopes with a version above s.
 */
export interface ChannelSnapshot {
  /** 0: no change has been published for a minute at least, so there is nothing to wait for, and no mark is published. */
  readonly version: number;
  /** In no particular order. */
  readonly members: readonly Member[];
  /** May be more than `members` has, where these were not asked for or have a limit. */
  readonly memberCount: number;
  readonly lastEvent: LastEvent | undefined;
}

export interface JoinOptions {
  /** Most members of the channel: 1 or more. A user who is a member already, through any worker, is never refused. */
  readonly maxMembers: number;
  /**
   * Whether a mark is published (an envelope of kind `mark`, with the snapshot's version) when the join itself publishes
   * nothing: for a worker that does not know which version of the channel it has served last.
   */
  readonly mark: boolean;
  /** Whether the snapshot has the last event. */
  readonly lastEvent: boolean;
}

export interface JoinResult {
  /** `full`: nothing has changed, and nothing was published. */
  readonly outcome: 'joined' | 'full';
  /** Right after the join, the user included. */
  readonly snapshot: ChannelSnapshot;
}

export interface ReadOptions {
  /** As {@link JoinOptions.mark}. */
  readonly mark: boolean;
  readonly members: boolean;
  readonly lastEvent: boolean;
  /** Most members in the answer. */
  readonly memberLimit: number;
}

/** How much goes on in a channel, over all workers of all farms on the same Redis and prefix. */
export interface ChannelCounts {
  /** Subscribed connections, as the workers have told them with {@link ChannelStore.setSubscribers}. */
  readonly subscribers: number;
  readonly members: number;
}

/** What can be recorded for webhooks. */
export const CHANNEL_EVENT_TYPES = [
  'channel_occupied',
  'channel_vacated',
  'member_added',
  'member_removed',
  'subscription_count',
  'cache_miss',
  'client_event',
] as const;

/**
 * What can be recorded. `channel_occupied` and `channel_vacated`: a channel has its first subscriber, and has none any more.
 * `member_added` and `member_removed`: of the user's connections, the first has joined, the last has left.
 * `subscription_count`: the number of subscribers has changed and was told to them. `cache_miss`: a subscriber wanted the last
 * event of a channel that has none. `client_event`: a client has published.
 */
export type ChannelEventType = (typeof CHANNEL_EVENT_TYPES)[number];

/** Something that happened in a channel. What concerns members and counts is recorded in the step that makes it true. */
export interface ChannelEvent {
  /** What happened. */
  readonly type: ChannelEventType;
  /** Where. */
  readonly channel: string;
  /** Of `member_added`, `member_removed`, and of a `client_event` where it is known. */
  readonly user?: string;
  /** Of `subscription_count`. */
  readonly count?: number;
  /** Name of a `client_event`. */
  readonly event?: string;
  /** Data of a `client_event`. */
  readonly data?: string;
  /** Id of the connection that has sent a `client_event`. */
  readonly connection?: string;
}

/** Totals, for metrics. */
export interface ChannelStoreCounters {
  /** Calls that rejected, and steps of the store's own that failed and are tried again. */
  errorCount: number;
  /** Times that the lease was lost: Redis forgot it, or the worker did not run for so long that others took it for dead. */
  lostLeaseCount: number;
  /** Owners (dead workers, and what this one was before a reconnection) whose entries were removed here. */
  reapedOwnerCount: number;
  /** Events that were thrown away because as many as may be were waiting. */
  droppedEventCount: number;
}

/**
 * What the workers of all farms must know of a channel together: who is in it (presence), how many are subscribed
 * (occupancy), and its last event.
 *
 * Exact by construction. Every change is one atomic step in one place (the master's exchange, or a script in Redis), and that
 * step publishes it: so whoever is subscribed to the channel sees each join and each leave exactly once, in the order
 * of their versions. Members are users, per worker: a worker tells of a user when the first of the user's connections here
 * joins a channel, and when the last one leaves. What the worker has told is the truth of the matter: the store brings it back
 * when Redis has lost it, and removes it when the worker dies.
 *
 * Nothing is asked or sent for a worker that calls none of the methods. A promise rejects with a BrokerError:
 * - `BROKER_UNAVAILABLE`: away or stopped, or `leave` was called before the join could be sent; nothing has happened.
 * - `BROKER_OVERLOADED`: too much is under way already; nothing was sent.
 * - `BROKER_REFUSED`: the server answered with an error. The message names the rights that are missing, where it is that.
 * - `BROKER_OUTCOME_UNKNOWN`: it may have happened. A join whose outcome is unknown is taken back, so it has been none.
 * - `BROKER_INVALID_CHANNEL`: see {@link Broker}.
 */
export interface ChannelStore {
  readonly counters: ChannelStoreCounters;

  /**
   * The user has a connection in this worker that is in the channel from now on. The first worker to say so adds the member and
   * publishes a `join`. Calling it again is the same as `read`.
   *
   * Rejected or `full`, it has not joined: no `leave` is due. While Redis has just lost everything, the
   * answer takes up to two seconds longer, so that nobody is announced who never left.
   */
  join(channel: string, member: Member, options: JoinOptions): Promise<JoinResult>;

  /**
   * The last connection of the user in this worker has left. The last worker to say so removes the member and publishes
   * a `leave`. Never fails and is never lost: it is done when Redis is there again. It overtakes no join that was called
   * before, so it may be called while that is under way. Nothing for a user who has not joined here.
   */
  leave(channel: string, user: string): void;

  /** Whether the user has joined through this worker, or is about to. Synchronous, O(1). */
  isMember(channel: string, user: string): boolean;

  /** What was told of a user who has joined here, and not left; undefined for others. */
  infoOf(channel: string, user: string): string | undefined;

  /** What is known of the channel now. */
  read(channel: string, options: ReadOptions): Promise<ChannelSnapshot>;

  /** Publishes, with a version, and keeps it as the channel's last event for `keepMs`, an integer from 1. */
  publishLast(
    channel: string,
    payload: Uint8Array,
    attributes: PublicationAttributes,
    keepMs: number,
  ): Promise<PublishResult>;

  /**
   * So many connections of this worker are subscribed to the channel. Called at every change: the first and the last one are
   * told at once, others at most once a second. Never fails and is never lost.
   *
   * With `tellsCount` each change is published, too: an envelope of kind `count` with the sum over all workers, version 0. When
   * more than 100 are subscribed, at most every 5 seconds. The value of the last call counts.
   */
  setSubscribers(channel: string, count: number, options: { readonly tellsCount: boolean }): void;

  /** What was last given to {@link setSubscribers}; 0 before. Synchronous, O(1). */
  subscribers(channel: string): number;

  /** By which name {@link takeCount} of another worker knows what this one has told. Undefined while it can have told nothing. */
  readonly owner: string | undefined;

  /**
   * Connections are about to come from another worker, or to go there. Until {@link releaseCounts} nothing is told of the
   * subscribers of these channels; what changes is told then. Holds add up. Resolves when nothing is on its way any more.
   */
  holdCounts(channels: readonly string[]): Promise<void>;

  /** Ends a hold. */
  releaseCounts(channels: readonly string[]): void;

  /**
   * So many of the connections that `from` has told of are subscribed here now, in one step that changes no sum: nothing is
   * published and nothing recorded. Answers how many they are, as `from` may not have told of all of them yet: they are told by
   * this worker then, as what is not known to have been taken is. The channel must be held, here and there, before the connections
   * are subscribed here until the answer is known to {@link gaveCount} there.
   */
  takeCount(
    channel: string,
    from: string,
    count: number,
    options: { readonly tellsCount: boolean },
  ): Promise<number>;

  /** Another worker has taken so many over; undefined when that is not known, so that this one tells again what it has. */
  gaveCount(channel: string, count: number | undefined): void;

  /** In the order of the channels. */
  counts(channels: readonly string[]): Promise<readonly ChannelCounts[]>;

  /** Channels with subscribers whose names begin so, in no particular order. At most `limit`, from 1: any of them. */
  occupiedChannels(prefix: string, limit: number): Promise<readonly string[]>;

  /**
   * Records an event, when this store was told to record its type; otherwise resolves at once. A `cache_miss` is
   * recorded once, until the channel has a last event again or 30 minutes have passed; with the embedded broker also until
   * nobody has been subscribed for a minute.
   */
  addEvent(event: ChannelEvent): Promise<void>;

  /** A worker with this name (see {@link ChannelStoreOptions.onOwner}) is dead: what it had is removed at once. */
  reap(owner: string): void;
}

/** Default of {@link ChannelStoreOptions.maxEvents}. */
export const MAX_EVENTS = 10_000;

/** What a store is told when it is made. */
export interface ChannelStoreOptions {
  /** What is recorded for webhooks. Default: nothing. All workers of all farms on one Redis should have the same. */
  readonly recorded?: readonly ChannelEventType[];
  /** Most recorded events that wait for a consumer; beyond, the oldest are thrown away and counted. Default 10,000. */
  readonly maxEvents?: number;
  /**
   * With Redis: for how long the worker counts as alive after it has said so last, which it does twice a second, in ms. All
   * farms on one Redis should have the same. Default 3,500.
   */
  readonly leaseMs?: number;
  /**
   * With Redis: by which name the worker's entries are known from now on. It changes with every connection. Who knows that the
   * worker has died can have them removed at once, see {@link ChannelStore.reap}.
   */
  readonly onOwner?: (owner: string) => void;
}

/** An event as it was recorded. */
export interface RecordedEvent extends ChannelEvent {
  /** Names it among all that are recorded. */
  readonly id: string;
  /** When, in ms since 1970, by the clock of whoever keeps it. */
  readonly timeMs: number;
}

/**
 * The recorded events, for whoever sends webhooks. Those of all farms on the same Redis and prefix, in one order. One consumer
 * at a time is given them, in that order. When it stops or dies, the next begins with what was not done: at least once.
 */
export interface ChannelEvents {
  /**
   * Waits until there are some, and takes at most `limit` (from 1). How many are taken without being done is for the caller
   * to bound. Empty: stopped. Never rejects: while Redis is away it waits.
   */
  take(limit: number): Promise<readonly RecordedEvent[]>;
  /** They need not be given to anybody again. Never fails; while Redis is away it is done later. */
  done(events: readonly RecordedEvent[]): void;
  /** Ends it. What is not done is given to others. Calling it twice is safe. */
  stop(): Promise<void>;
}
