import { ownedCopy } from '../owned-copy.ts';
import type { MemoryBrokerExchange } from './exchange.ts';
import type {
  BrokerLink,
  BrokerLinkMessage,
  ExchangePort,
  ExchangeToWorkerMessage,
  WorkerToExchangeMessage,
} from './link.ts';

export interface InProcessLinkOptions {
  readonly workerId: number;
  /** The `onMessage` of the MemoryBroker that uses the link. */
  readonly onMessage: (message: ExchangeToWorkerMessage) => void;
  /** Most bytes under way in one direction: payloads, and 512 for each message. Default 16 MiB. */
  readonly maxBytes?: number;
}

/** What a message takes besides its payload: its object, Buffer and place in the queue (measured as RSS: 430 to 530). */
const MESSAGE_BYTES = 512;

/**
 * A link between an exchange and a MemoryBroker in the same process, with the manners of the real one: ordered,
 * asynchronous, bounded in bytes, payloads copied on the way. For a farm without worker processes, for a
 * broker in the master itself, and for tests.
 */
export class InProcessLink implements BrokerLink {
  readonly #toExchange: Lane<WorkerToExchangeMessage>;
  readonly #toWorker: Lane<ExchangeToWorkerMessage>;
  readonly #port: ExchangePort;

  constructor(exchange: MemoryBrokerExchange, options: InProcessLinkOptions) {
    const maxBytes = options.maxBytes ?? 16 * 1024 * 1024;
    const toWorker = new Lane<ExchangeToWorkerMessage>(options.onMessage, maxBytes);
    const port = exchange.attach(options.workerId, (message) => toWorker.push(message), toWorker);
    this.#toWorker = toWorker;
    this.#toExchange = new Lane<WorkerToExchangeMessage>((message) => port.receive(message), maxBytes);
    this.#port = port;
  }

  send(message: WorkerToExchangeMessage): boolean {
    return this.#toExchange.push(message);
  }

  /** Stops and resumes the worker's reading, as a stopped process would. */
  setReading(isReading: boolean): void {
    this.#toWorker.setReading(isReading);
  }

  /** Detaches from the exchange and drops what is under way. */
  close(): void {
    this.#port.detach();
    this.#toExchange.close();
    this.#toWorker.close();
  }
}

class Lane<Message extends BrokerLinkMessage> {
  readonly #deliver: (message: Message) => void;
  readonly maxBufferedBytes: number;
  #messages: Message[] = [];
  #bytes = 0;
  #immediate: NodeJS.Immediate | undefined;
  #isReading = true;
  #isClosed = false;

  constructor(deliver: (message: Message) => void, maxBytes: number) {
    this.#deliver = deliver;
    this.maxBufferedBytes = maxBytes;
  }

  get bufferedBytes(): number {
    return this.#bytes;
  }

  push(message: Message): boolean {
    const payload = 'payload' in message ? message.payload : undefined;
    const bytes = MESSAGE_BYTES + (payload?.length ?? 0);
    if (this.#isClosed || this.#bytes + bytes > this.maxBufferedBytes) return false;
    this.#bytes += bytes;
    this.#messages.push(payload === undefined ? message : { ...message, payload: ownedCopy(payload) });
    this.#readSoon();
    return true;
  }

  setReading(isReading: boolean): void {
    this.#isReading = isReading;
    this.#readSoon();
  }

  close(): void {
    this.#isClosed = true;
    this.#messages = [];
    clearImmediate(this.#immediate);
  }

  #readSoon(): void {
    if (!this.#isReading || this.#isClosed || this.#messages.length === 0) return;
    this.#immediate ??= setImmediate(() => {
      this.#immediate = undefined;
      if (!this.#isReading) return;
      const messages = this.#messages;
      this.#messages = [];
      this.#bytes = 0;
      for (const message of messages) if (!this.#isClosed) this.#deliver(message);
    });
  }
}
