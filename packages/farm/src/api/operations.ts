import type { ChannelInfo } from './info.ts';
import type { Member } from './presence.ts';

/** Whose connections an operator closes: one, all of a user, or all subscribers of a channel. */
export type DisconnectTarget =
  | {
      /** The id of a connection of this farm. */
      readonly connection: string;
    }
  | {
      /** A user, on all farms of the same Redis. */
      readonly user: string;
    }
  | {
      /** A channel, on all farms of the same Redis. */
      readonly channel: string;
    };

/** What is known of one connection. */
export interface ConnectionDetails {
  /** As in {@link Connection.id}. */
  readonly id: string;
  /** Index of its worker. */
  readonly worker: number;
  /** The name of its app. */
  readonly app: string;
  /** `open` (it sleeps), `awake` (ws reads it) or `closing`. */
  readonly state: string;
  /**
   * When its socket was accepted, in ms since the epoch: right to a second, or to 1/256 of its age where that is more, and too
   * early rather than too late. Null when it is not known.
   */
  readonly since: number | null;
  /** As in {@link Connection.remoteAddress}. */
  readonly remoteAddress: string;
  /** As in {@link Connection.user}; null without one. */
  readonly user: string | null;
  /** Channels that it is subscribed to: at most 100 of them. */
  readonly channels: readonly string[];
  /** How many they are. */
  readonly channelCount: number;
  /** Of these channels, those in which it is a member. */
  readonly memberOf: readonly Membership[];
  /** Since something was heard of its client, in ms; to a tenth of a second. */
  readonly silentMs: number;
  /** Bytes in its outbound queue. */
  readonly bufferedBytes: number;
  /** Whether compression was agreed on. */
  readonly isCompressed: boolean;
  /** Whether publications may have been missed. */
  readonly hasGap: boolean;
  /** When it is closed whatever it does, in seconds since the epoch; null for never. */
  readonly expiresAt: number | null;
  /** What the kernel says of its TCP connection (TCP_INFO); null over TLS. */
  readonly tcp: TcpDetails | null;
}

/** A TCP connection, as the kernel knows it. Counts are since it began. */
export interface TcpDetails {
  /** The smoothed round-trip time, in ms. */
  readonly rttMs: number;
  /** Bytes that arrived. */
  readonly receivedBytes: number;
  /** Bytes that were sent, and acknowledged by the client. */
  readonly sentBytes: number;
  /** Segments that were sent. */
  readonly sentSegments: number;
  /** Segments that were sent again. */
  readonly retransmittedSegments: number;
}

/** What an operator may do with a farm that runs. */
export interface FarmOperations {
  /**
   * As {@link WorkerContext.publish}, by one of the workers. Rejects with a FarmError: FARM_ERR_CHANNEL_NAME, or FARM_ERR_QUERY
   * with the broker's reason when it refuses or no worker answers in 5 seconds; FARM_ERR_OPTION for data that is no string.
   */
  publish(channel: string, data: string): Promise<void>;
  /**
   * Closes connections, with the code 4500 unless another is given. Resolves to whether the connection was there; for users and
   * channels to true when the message has left. Rejects as {@link publish} does, with FARM_ERR_QUERY also when the connection may
   * be on a worker that has not answered within a second, and with FARM_ERR_OPTION for a user, code or reason that cannot be.
   */
  disconnect(
    target: DisconnectTarget,
    options?: { readonly code?: number; readonly reason?: string },
  ): Promise<boolean>;
  /**
   * What is known of a connection of this farm; undefined when there is none of this id. Rejects with FARM_ERR_QUERY when it may be
   * on a worker that has not answered within a second.
   */
  connection(id: string): Promise<ConnectionDetails | undefined>;
  /**
   * The channels with the most subscribers on this farm, 1 to 100, largest first. Each worker names its largest, so that of
   * channels of nearly the same size one may be missing.
   */
  topChannels(limit: number): Promise<readonly ChannelInfo[]>;
  /**
   * The channels with the most members on this farm, found as {@link topChannels} does, with what is in them on all farms of the
   * same Redis. Rejects with FARM_ERR_QUERY when the broker does not tell.
   */
  topMemberChannels(limit: number): Promise<readonly MemberChannel[]>;
  /** Members of a channel, on all farms of the same Redis: at most `limit`, 1 to 1,000. Rejects as {@link publish} does. */
  members(channel: string, limit: number): Promise<ChannelMembers>;
}

/** As whom a connection is in a channel. */
export interface Membership {
  /** Where. */
  readonly channel: string;
  /** Who. */
  readonly user: string;
}

/** A channel that has members. */
export interface MemberChannel {
  /** Its name. */
  readonly channel: string;
  /** Users. */
  readonly members: number;
  /** Connections, as far as the application has them counted (`countsChannel`). */
  readonly subscribers: number;
}

/** Who is in a channel. */
export interface ChannelMembers {
  /** How many they are. */
  readonly memberCount: number;
  /** In no particular order. */
  readonly members: readonly Member[];
}
