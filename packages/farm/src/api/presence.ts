/** A member of a channel: a user, with however many connections. */
export interface Member {
  /** 1 to 256 characters. */
  readonly user: string;
  /** What is known of the user, as JSON text; may be empty. */
  readonly info: string;
}

/** An event that a channel keeps for those who come later. */
export interface LastEvent {
  /** Its name; undefined when it was published without one. */
  readonly event: string | undefined;
  /** Its data. */
  readonly payload: Buffer;
  /** How long it is still kept, in ms: at least 1, which is also said of one that has just come. */
  readonly ttlMs: number;
}

/** What is known of a channel at one version. */
export interface ChannelSnapshot {
  /** Grows with every change. */
  readonly version: number;
  /** The members, in no particular order; empty when they were not asked for. */
  readonly members: readonly Member[];
  /** How many members there are. */
  readonly memberCount: number;
  /** Undefined when none is kept, or it was not asked for. */
  readonly lastEvent: LastEvent | undefined;
}

/** How a connection is to join a channel, see {@link WorkerContext.join}. */
export interface JoinRequest {
  /** 1 to 255 bytes of UTF-8 without control characters. */
  readonly channel: string;
  /** Makes the connection's user a member of the channel. Default: it only subscribes. */
  readonly member?: {
    /** 1 to 256 characters. */
    readonly user: string;
    /** JSON text of at most 65,536 bytes; may be empty. The info of a user's first connection stands for all of them. */
    readonly info: string;
    /** A new user is refused when the channel has so many; a further connection of a member never is. */
    readonly maxMembers: number;
  };
  /** Whether the snapshot has the last event. Default false. */
  readonly lastEvent?: boolean;
  /**
   * What the connection is sent first, as text messages in this order: everything that is published after the snapshot's
   * version follows, and nothing from before it.
   */
  welcome(snapshot: ChannelSnapshot): string | readonly string[];
}

/**
 * - `joined`: the welcome is sent.
 * - `full`: the channel has its most members, and the connection is not subscribed.
 * - `gone`: the connection has ended, or has left the channel, in the meantime; or it was subscribed, or about to be, already.
 */
export type JoinOutcome = 'joined' | 'full' | 'gone';

/** How many are in a channel, on all workers of all farms. */
export interface ChannelCounts {
  /** Connections. */
  readonly subscribers: number;
  /** Users. */
  readonly members: number;
}
