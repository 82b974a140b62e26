import type { PublishOptions } from './channel-publication.ts';

/**
 * What is sent or published: a string or bytes. Anything else is an error whose text is `Note`: what the compiler says.
 */
export type MessageData<Data, Note extends string> = Data extends string | Uint8Array ? Data : Note;

/**
 * One live client, as the application sees it: a slot and its generation, so that it is safe to keep. Calls on a
 * connection that is gone do nothing and return false. Nothing of it exists while the connection sleeps: two hooks of
 * one connection may get different objects, with the same {@link id}.
 *
 * `Attachment` is the type of its attachment; see {@link defineApp}.
 */
export interface Connection<Attachment = unknown> {
  /**
   * Two decimal integers with a dot between them. Unique among all connections of all farms on one Redis, and not to be
   * guessed from another one's. Empty when the connection is gone, but not in the close hook.
   */
  readonly id: string;
  /** False as soon as a close has begun or the client is gone. */
  readonly isOpen: boolean;
  /** Numeric address of the client, as in {@link UpgradeRequest.remoteAddress}; empty when gone. */
  readonly remoteAddress: string;
  /**
   * What {@link accept} was given, or the last value set. Structured-cloneable data of at most 16 KB, no closures: setting
   * anything else throws a DataCloneError or a RangeError. What is changed inside of it later is not checked, and must be such data
   * as well: else the connection cannot move to another worker. Once the connection is gone it is undefined, whatever its type
   * says, but not in the close hook: a hook that waits for something reads it before.
   */
  attachment: Attachment;
  /**
   * When it is closed with 4003, in seconds since the epoch: what {@link accept} was given, or the last value set; undefined
   * for never. An app whose client shows a newer token sets it. Milliseconds throw a RangeError.
   */
  expiresAt: number | undefined;
  /**
   * What an app must know of a connection that sleeps, as bytes of its own making: 1 to 16,384, else a RangeError is thrown;
   * undefined for none. They take their length and some bytes more, and no object.
   *
   * What is read is lent: it may be changed in place, and is valid until the hook returns or the next `await`, and until the
   * session of any connection is set. What is set is copied. In the close hook it is a copy of the last one.
   */
  session: Uint8Array | undefined;
  /**
   * The user whose connection it is, 1 to 256 characters, else a RangeError is thrown; undefined for none.
   * See {@link WorkerContext.sendToUser} and {@link WorkerContext.disconnectUser}.
   */
  user: string | undefined;
  /** Bytes that the kernel has not taken yet. 0 for nearly all; bounded by `maxOutboundBytes`. */
  readonly bufferedBytes: number;
  /**
   * True when publications may have been missed since it was subscribed: the broker was away, or some of one of its channels
   * were dropped.
   */
  readonly hasGap: boolean;
  /** Whether it is subscribed to the channel. */
  isSubscribed(channel: string): boolean;
  /** As whom it is a member of the channel (see {@link WorkerContext.join}); undefined when it is none. */
  memberOf(channel: string): string | undefined;
  /** Names of its channels; none once a close has begun. The close hook gets those that it had then. */
  readonly channels: readonly string[];
  /**
   * Sends one message: strings as text; bytes as binary unless `isBinary` is false. True: it is in the kernel or in
   * the outbound queue. False: the connection is gone, or the slow-consumer policy dropped the message.
   */
  send<Data>(
    data: MessageData<Data, 'send() takes a string or bytes; use JSON.stringify(value)'>,
    isBinary?: boolean,
  ): boolean;
  /**
   * Subscribes to a channel: 1 to 255 bytes of UTF-8 without control characters. Resolves to true when the broker has
   * confirmed it (at once if it had before), to false when the connection has ended in the meantime. Rejects with
   * FARM_ERR_CHANNEL_NAME, or with BROKER_SUBSCRIBE_TIMEOUT (then it is not subscribed).
   */
  subscribe(channel: string): Promise<boolean>;
  /** False when it was not subscribed. */
  unsubscribe(channel: string): boolean;
  /**
   * Publishes to every subscriber of the channel on every worker and farm, itself included: text when the bytes are
   * valid UTF-8, else binary. Rejects with a BrokerError; ignoring the promise is safe.
   */
  publish<Data>(
    channel: string,
    data: MessageData<Data, 'publish() takes a string or bytes; use JSON.stringify(value)'>,
    options?: PublishOptions,
  ): Promise<void>;
  /** Begins the closing handshake. `code` 1000 (default), 1001–1003, 1007–1014 or 3000–4999; reason ≤ 123 bytes. */
  close(code?: number, reason?: string): boolean;
  /** Ends the TCP connection at once, without a close frame. */
  terminate(): boolean;
}
