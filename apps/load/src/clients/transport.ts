/** What happens to the sockets of clients. */
export interface TransportEvents {
  /** Bytes of the server, in `bytes[start … end)`; they are overwritten after the call. */
  received(slot: number, bytes: Buffer, start: number, end: number): void;
  /** The TCP connection is over. `reason` is an errno's name, or says what the server did. */
  ended(slot: number, reason: string): void;
  /** Everything that one wake-up brought has been told. */
  batchEnded(): void;
}

/**
 * What carries the bytes of clients: plain TCP by the poller, or TLS by Node. Rows are those of the client table; nothing
 * is told of a row after `close`.
 */
export interface Transport {
  /** Begins to connect, and sends the request when it can. Answers why it cannot, or undefined. */
  open(slot: number, number: number, request: Buffer): string | undefined;
  /** Sends one whole frame. False: it was not taken, and the connection is of no more use. */
  send(slot: number, frame: Buffer): boolean;
  /** Stops reading, as a slow consumer does. The server's end is told all the same, sooner or later. */
  pause(slot: number): void;
  /** Ends the TCP connection. */
  close(slot: number): void;
  destroy(): void;
}

/** Why an open connection has ended, where the server's FIN came without a word. */
export const SERVER_ENDED = 'closed before the answer';

/** Addresses that connections are made from, taken in turn by number. None: the kernel chooses. */
export function sourceOf(addresses: readonly string[], number: number): string | undefined {
  return addresses.length === 0 ? undefined : addresses[number % addresses.length];
}
