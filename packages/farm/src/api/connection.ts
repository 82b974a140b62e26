/**
 * One live client, as the application sees it: a slot and its generation, so that it is safe to keep. Calls on a
 * connection that is gone do nothing and return false. Nothing of it exists while the connection sleeps: two hooks of
 * one connection may get different objects, with the same {@link id}.
 */
export interface Connection {
  /** Unique within the farm as long as it runs. */
  readonly id: string;
  /** False as soon as a close has begun or the client is gone. */
  readonly isOpen: boolean;
  /** Numeric address of the client, as in {@link UpgradeRequest.remoteAddress}; empty when gone. */
  readonly remoteAddress: string;
  /**
   * What {@link accept} was given, or the last value set. Structured-cloneable data of at most 16 KB, no closures: setting
   * anything else throws a DataCloneError or a RangeError.
   */
  attachment: unknown;
  /**
   * When it is closed with 4003, in seconds since the epoch: what {@link accept} was given, or the last value set; undefined
   * for never. An app whose client shows a newer token sets it. Milliseconds throw a RangeError.
   */
  expiresAt: number | undefined;
  /** Bytes that the kernel has not taken yet. 0 for nearly all; bounded by `maxOutboundBytes`. */
  readonly bufferedBytes: number;
  /**
   * True when publications may have been missed since it was subscribed: the broker was away, or some of one of its channels
   * were dropped.
   */
  readonly hasGap: boolean;
  /** Names of its channels; none once a close has begun. The close hook gets those that it had then. */
  readonly channels: readonly string[];
  /**
   * Sends one message: strings as text; bytes as binary unless `isBinary` is false. True: it is in the kernel or in
   * the outbound queue. False: the connection is gone, or the slow-consumer policy dropped the message.
   */
  send(data: string | Uint8Array, isBinary?: boolean): boolean;
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
  publish(channel: string, data: string | Uint8Array): Promise<void>;
  /** Begins the closing handshake. `code` 1000 (default), 1001–1003, 1007–1014 or 3000–4999; reason ≤ 123 bytes. */
  close(code?: number, reason?: string): boolean;
  /** Ends the TCP connection at once, without a close frame. */
  terminate(): boolean;
}
