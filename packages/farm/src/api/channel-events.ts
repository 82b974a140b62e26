/**
 * What can be recorded of a channel.
 *
 * - `channel_occupied`, `channel_vacated`: it has its first subscriber; it has none any more.
 * - `member_added`, `member_removed`: the first connection of a user has joined it; the last one has left it.
 * - `subscription_count`: how many are subscribed has changed, and was told to them.
 * - `cache_miss`: a subscriber wanted the last event, and there is none.
 * - `client_event`: a client has published.
 */
export type ChannelEventType =
  | 'channel_occupied'
  | 'channel_vacated'
  | 'member_added'
  | 'member_removed'
  | 'subscription_count'
  | 'cache_miss'
  | 'client_event';

/** Something that has happened in a channel. */
export interface ChannelEvent {
  /** What has happened. */
  readonly type: ChannelEventType;
  /** Where. */
  readonly channel: string;
  /** Of `member_added`, `member_removed`, and of a `client_event` where it is known. */
  readonly user?: string;
  /** Of `subscription_count`: over all farms. */
  readonly count?: number;
  /** Name of a `client_event`. */
  readonly event?: string;
  /** Data of a `client_event`. */
  readonly data?: string;
  /** Id of the connection that has sent a `client_event`. */
  readonly connection?: string;
}

/** The same as it was recorded. */
export interface RecordedEvent extends ChannelEvent {
  /** Names it among all that are recorded. */
  readonly id: string;
  /** When it was recorded, in ms since 1970, by the clock of the master or of Redis. */
  readonly timeMs: number;
}

/**
 * The recorded events, for whoever tells others of them. Those of all farms on the same Redis and prefix, in one order. Each is
 * taken by one farm, and again only if that dies, or stops, before it was done: at least once.
 */
export interface ChannelEvents {
  /**
   * Waits until there are some, and takes at most `limit`, from 1. How many are taken without being done is for the caller to
   * bound. Empty: stopped. Never rejects: while Redis is away it waits.
   */
  take(limit: number): Promise<readonly RecordedEvent[]>;
  /** Nobody need be given them again. Never fails: while Redis is away it is noted later. */
  done(events: readonly RecordedEvent[]): void;
  /** Ends it: what was taken and is not done is given to others. Safe to call twice. */
  stop(): Promise<void>;
}
