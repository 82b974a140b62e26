import type { TlsSocket } from './tls-socket.ts';

/** Bytes read per tick of the event loop, all streams together, as in a wake-up of the poller. */
const BYTES_PER_TICK = 64 * 1024;
/** What an event costs beside its bytes, in bytes. */
const EVENT_BYTES = 64;
/** Streams that send no more than this at a time have another budget of the same size to themselves. */
const SHORT_BYTES = 1024;
/** Streams that go on reading per tick. */
const RESUMES_PER_TICK = 32;

/**
 * Shares each tick of the event loop among the streams that read. Node reads each stream until its socket is empty, so
 * that one busy client would keep the others waiting. What comes beyond the budget of a tick waits in front of its stream,
 * and the streams go on in the order in which they were stopped.
 */
export class FairReading {
  /** Streams that have more than was left of a tick. */
  readonly #stopped = new Set<TlsSocket>();
  #bytesLeft = BYTES_PER_TICK;
  #shortBytesLeft = BYTES_PER_TICK;
  #isTickScheduled = false;

  /** Whether the bytes are to be handled now. If not, they have been put back in front of their stream. */
  admits(socket: TlsSocket, bytes: Buffer): boolean {
    const cost = bytes.length + EVENT_BYTES;
    if (!this.#isTickScheduled) {
      this.#isTickScheduled = true;
      setImmediate(this.#tick);
    }
    if (this.#bytesLeft > 0) {
      this.#bytesLeft -= cost;
      return true;
    }
    if (bytes.length <= SHORT_BYTES && this.#shortBytesLeft > 0) {
      this.#shortBytesLeft -= cost;
      return true;
    }
    socket.pause();
    socket.unshift(bytes);
    this.#stopped.add(socket);
    return false;
  }

  /** The stream ends. */
  remove(socket: TlsSocket): void {
    this.#stopped.delete(socket);
  }

  readonly #tick = (): void => {
    this.#isTickScheduled = this.#stopped.size > 0;
    this.#bytesLeft = BYTES_PER_TICK;
    this.#shortBytesLeft = BYTES_PER_TICK;
    let resumes = 0;
    for (const socket of this.#stopped) {
      if (resumes++ === RESUMES_PER_TICK) break;
      this.#stopped.delete(socket);
      if (!socket.isRowPaused) socket.resume();
    }
    if (this.#isTickScheduled) setImmediate(this.#tick);
  };
}
