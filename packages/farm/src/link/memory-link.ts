import type { Link, LinkHandlers, SendOutcome } from './link.ts';
import { encodeEnvelope, EnvelopeDecoder } from './envelope.ts';
import { MESSAGE_OVERHEAD_BYTES } from './stream-link.ts';

/**
 * The in-memory twin of {@link StreamLink}: two connected ends in one process, so that the messages of master and worker
 * can be specified without forking. It behaves like its twin: messages are copied, arrive in a later
 * tick, in order, and are bounded.
 */
export function memoryLinkPair<A extends object, B extends object>(
  maxBufferedBytes: number,
): [Link<B, A>, Link<A, B>] {
  const left = new MemoryLink<B, A>(maxBufferedBytes);
  const right = new MemoryLink<A, B>(maxBufferedBytes);
  left.connect(right);
  right.connect(left);
  return [left, right];
}

class MemoryLink<In, Out extends object> implements Link<In, Out> {
  readonly #maxBufferedBytes: number;
  readonly #decoder = new EnvelopeDecoder();
  readonly #inbox: Buffer[] = [];
  #inboxBytes = 0;
  #other: MemoryLink<Out & object, In & object> | undefined;
  #handlers: LinkHandlers<In> | undefined;
  #isReading = true;
  #isClosed = false;
  #isScheduled = false;
  #otherHasClosed = false;

  constructor(maxBufferedBytes: number) {
    this.#maxBufferedBytes = maxBufferedBytes;
  }

  connect(other: MemoryLink<Out & object, In & object>): void {
    this.#other = other;
  }

  get bufferedBytes(): number {
    return this.#other?.inboxBytes ?? 0;
  }

  get inboxBytes(): number {
    return this.#inboxBytes;
  }

  open(handlers: LinkHandlers<In>): void {
    this.#handlers = handlers;
    this.#schedule();
  }

  send(message: Out): SendOutcome {
    return this.#send(message, this.#maxBufferedBytes);
  }

  sendUrgent(message: Out): SendOutcome {
    return this.#send(message, 2 * this.#maxBufferedBytes);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  setReading(isReading: boolean): void {
    this.#isReading = isReading;
    this.#schedule();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#other?.otherClosed();
    this.#handlers?.linkOnClose('the stream was closed');
  }

  deliver(envelope: Buffer): void {
    this.#inbox.push(envelope);
    this.#inboxBytes += envelope.length + MESSAGE_OVERHEAD_BYTES;
    this.#schedule();
  }

  otherClosed(): void {
    this.#otherHasClosed = true;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled || !this.#isReading || this.#handlers === undefined) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#drain();
    });
  }

  #drain(): void {
    const handlers = this.#handlers;
    if (handlers === undefined) return;
    while (!this.#isClosed && this.#isReading) {
      const envelope = this.#inbox.shift();
      if (envelope === undefined) break;
      this.#inboxBytes -= envelope.length + MESSAGE_OVERHEAD_BYTES;
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the other end sends only these.
      this.#decoder.write(envelope, (message) => handlers.linkOnMessage(message as In));
    }
    if (this.#otherHasClosed && !this.#isClosed && this.#isReading) {
      this.#isClosed = true;
      handlers.linkOnClose('the other side ended');
    }
  }

  #send(message: Out, bound: number): SendOutcome {
    if (this.#isClosed || this.#other === undefined || this.#other.isClosed) return 'closed';
    if (this.bufferedBytes >= bound) return 'overflow';
    this.#other.deliver(encodeEnvelope(message));
    return 'sent';
  }
}
