import type { Duplex } from 'node:stream';
import type { Link, LinkHandlers, SendOutcome } from './link.ts';
import { encodeEnvelope, EnvelopeDecoder } from './envelope.ts';

/**
 * What a message that waits in a stream takes besides its bytes: its Buffer and the stream's record of the write. Measured as
 * the growth of RSS by 300,000 of them on a Unix socket (Node 20): 516 at 100 bytes, 567 at 1,000.
 */
export const MESSAGE_OVERHEAD_BYTES = 576;

/** A {@link Link} over a byte stream: in a farm, the Unix socket pair between the master and a worker. */
export class StreamLink<In, Out extends object> implements Link<In, Out> {
  readonly #stream: Duplex;
  readonly #maxBufferedBytes: number;
  readonly #decoder = new EnvelopeDecoder();
  /** Messages behind the one that is being written. */
  #waitingCount = 0;
  readonly #onWritten = (): void => {
    this.#waitingCount--;
  };
  #isClosed = false;

  constructor(stream: Duplex, maxBufferedBytes: number) {
    this.#stream = stream;
    this.#maxBufferedBytes = maxBufferedBytes;
    // Until open() attaches the real listener an error must not be an uncaught one; 'close' follows it.
    stream.on('error', () => undefined);
  }

  get bufferedBytes(): number {
    return this.#stream.writableLength + this.#waitingCount * MESSAGE_OVERHEAD_BYTES;
  }

  open(handlers: LinkHandlers<In>): void {
    const end = (reason: string): void => {
      if (this.#isClosed) return;
      this.#isClosed = true;
      this.#stream.destroy();
      handlers.linkOnClose(reason);
    };
    this.#stream.on('data', (chunk: Buffer) => {
      if (this.#isClosed) return;
      try {
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the other side is our own code of the same version.
        this.#decoder.write(chunk, (message) => handlers.linkOnMessage(message as In));
      } catch (error) {
        end(error instanceof Error ? error.message : String(error));
      }
    });
    this.#stream.on('end', () => end('the other side ended'));
    this.#stream.on('error', (error) => end(error.message));
    this.#stream.on('close', () => end('the stream was closed'));
    // It broke before: nothing more will be emitted.
    if (this.#stream.destroyed) queueMicrotask(() => end('the stream was closed'));
  }

  send(message: Out): SendOutcome {
    return this.#send(message, this.#maxBufferedBytes);
  }

  sendUrgent(message: Out): SendOutcome {
    return this.#send(message, 2 * this.#maxBufferedBytes);
  }

  setReading(isReading: boolean): void {
    // Before open() there is no listener for what a resumed stream emits.
    if (!isReading) this.#stream.pause();
    else if (this.#stream.isPaused()) this.#stream.resume();
  }

  close(): void {
    this.#stream.end();
  }

  #send(message: Out, bound: number): SendOutcome {
    if (this.#isClosed || this.#stream.writableEnded || this.#stream.destroyed) return 'closed';
    if (this.bufferedBytes >= bound) return 'overflow';
    const envelope = encodeEnvelope(message);
    if (this.#stream.writableLength === 0) {
      // The kernel takes it at once, nearly always.
      this.#stream.write(envelope);
    } else {
      this.#waitingCount++;
      this.#stream.write(envelope, this.#onWritten);
    }
    return 'sent';
  }
}
