/** What the poller, the hand-off and TLS streams report of the rows' sockets. */
export interface SocketHandlers {
  /** A socket was adopted, and nothing has been read from it. False when the row was ended at once. */
  socketOnNew(slot: number): boolean;
  /** What came with an adopted socket has been read; its row may have ended since {@link socketOnNew}. */
  socketOnAdopted(slot: number): void;
  /** Bytes of the client, from `start` to `end`; they are overwritten after this returns. */
  socketOnBytes(slot: number, bytes: Buffer, start: number, end: number): void;
  /** It takes bytes again. */
  socketOnWritable(slot: number): void;
  /** A client whose row is paused has sent FIN; bytes before it may still wait. */
  socketOnHalfClose(slot: number): void;
  /** The client has sent FIN, and all bytes before it have been read. */
  socketOnPeerEnd(slot: number): void;
  /** The TCP connection has failed, or has ended without us. */
  socketOnLost(slot: number): void;
  /** A stream has sent everything, and FIN. */
  socketOnFlushed(slot: number): void;
}
