import type { PublicationKind } from '@roost/broker';

export type { PublicationKind } from '@roost/broker';

/** What a publication may carry beside its data. */
export interface PublishOptions {
  /** A name for what happened, for apps that encode it: 1 to 1,024 bytes of UTF-8. Default: none. */
  readonly event?: string | undefined;
  /** The {@link Connection.id} of the one connection that does not get it, on whichever worker and farm. Default: none. */
  readonly except?: string | undefined;
  /**
   * Keeps it as the channel's last event for so many ms, an integer from 1, for who joins later: see {@link JoinRequest.lastEvent}.
   * Default: it is not kept.
   */
  readonly keepMs?: number | undefined;
  /** The user whose message it is, for apps that encode it: 1 to 256 characters. Default: none. */
  readonly user?: string | undefined;
}

/** A publication as {@link App.encode} is given it. */
export interface ChannelPublication {
  /** The channel's name. */
  readonly channel: string;
  /** The bytes, which are only lent and not to be changed: what is kept must be copied. */
  readonly payload: Buffer;
  /** Whether the payload is valid UTF-8. */
  readonly isText: boolean;
  /**
   * `publication`: somebody's message. `join`: `user` has become a member of the channel, and the payload is what is known of
   * the user as JSON text, which may be empty. `leave`: `user` is none any more. `count`: the payload is the number of
   * subscribers in decimal digits.
   */
  readonly kind: Exclude<PublicationKind, 'mark'>;
  /** Grows with every change of the channel's members and last event; 0 when this is no such change. */
  readonly version: number;
  /** See {@link PublishOptions.event}. */
  readonly event?: string | undefined;
  /** See {@link PublishOptions.except}. */
  readonly except?: string | undefined;
  /** Who joins, leaves or has published. */
  readonly user?: string | undefined;
}
