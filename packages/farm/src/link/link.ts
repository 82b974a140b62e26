/**
 * What became of a message: `sent` (it will arrive unless the other side dies), `overflow` (more bytes wait than the
 * bound allows: nothing was sent) or `closed`.
 */
export type SendOutcome = 'sent' | 'overflow' | 'closed';

export interface LinkHandlers<In> {
  linkOnMessage(message: In): void;
  /** The other side has gone, or sent something malformed (then `reason` says so). Called once; nothing follows. */
  linkOnClose(reason: string): void;
}

/**
 * Typed messages between the master and one worker, in order, each exactly once while both live. Messages are plain
 * data; a `payload` that is a Buffer, at the top or inside `message`, travels as raw bytes, and is lent to the receiver.
 *
 * What waits to be written is bounded in memory, each message's overhead included: beyond `maxBufferedBytes` `send` answers
 * `overflow`.
 */
export interface Link<In, Out> {
  /** Takes what arrives from here on; messages before that wait. */
  open(handlers: LinkHandlers<In>): void;
  send(message: Out): SendOutcome;
  /** As {@link send}, for a message that a backlog of publications must not hold up: it has the same room again. */
  sendUrgent(message: Out): SendOutcome;
  /** Memory of what `send` has accepted and the other side's kernel buffer has not taken: bytes, and an overhead for each. */
  readonly bufferedBytes: number;
  /** Stops and resumes reading what the other side has sent; until then it waits there, and its end is not seen. */
  setReading(isReading: boolean): void;
  /** Sends what waits, then ends. Calling it twice is safe. */
  close(): void;
}
