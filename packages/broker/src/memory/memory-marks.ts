import { randomUUID } from 'node:crypto';
import { BrokerError } from '../errors.ts';
import type { BrokerLink } from './link.ts';

const ADDRESSES = 'memory:mark:';
/** How long a link that was full is left alone, in ms. */
const RETRY_MS = 20;

/** Somebody waits for the answer of the exchange. */
interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: BrokerError) => void;
}

/** The addresses whose marks this broker hears: its own from the start, and those that it watches. */
export class MemoryMarks {
  readonly address = ADDRESSES + randomUUID();
  readonly #link: BrokerLink;
  readonly #watched = new Map<string, number>();
  readonly #waiting = new Map<string, Waiting[]>();
  /** Marks of this broker on their way, and whether the exchange has refused them: the acknowledgement comes behind. */
  readonly #sent = new Map<string, boolean>();
  #server: string | undefined;
  #retryTimer: NodeJS.Timeout | undefined;

  constructor(link: BrokerLink) {
    this.#link = link;
  }

  /** The exchange's name; undefined before it has confirmed that marks for this broker arrive. */
  get server(): string | undefined {
    return this.#server;
  }

  /** Asks for the marks of its own address, until the link takes the question. */
  start(): void {
    if (this.#link.send({ type: 'watchMarks', address: this.address })) return;
    this.#retryTimer = setTimeout(() => this.start(), RETRY_MS).unref();
  }

  /** See Broker.watchMarks. */
  async watch(address: string): Promise<() => void> {
    checkAddress(address);
    if (address === this.address) return () => undefined;
    if (!this.#link.send({ type: 'watchMarks', address })) {
      throw new BrokerError(
        'BROKER_OVERLOADED',
        'Watching marks failed: the channel to the master is full, so try again.',
      );
    }
    this.#watched.set(address, (this.#watched.get(address) ?? 0) + 1);
    await new Promise<void>((resolve, reject) => {
      const waiting = this.#waiting.get(address) ?? [];
      waiting.push({ resolve, reject });
      this.#waiting.set(address, waiting);
    });
    let isWatching = true;
    return () => {
      if (isWatching) this.#unwatch(address);
      isWatching = false;
    };
  }

  hears(address: string): boolean {
    return address === this.address || this.#watched.has(address);
  }

  /** The exchange has confirmed that marks of the address arrive. */
  confirmed(address: string, server: string): void {
    if (address === this.address) this.#server = server;
    for (const { resolve } of this.#waiting.get(address) ?? []) resolve();
    this.#waiting.delete(address);
  }

  /** A mark is sent; `acknowledged` when it has its place, or was refused: then this rejects. */
  async follow(address: string, id: number, acknowledged: Promise<unknown>): Promise<void> {
    const key = `${id} ${address}`;
    this.#sent.set(key, false);
    try {
      await acknowledged;
      if (this.#sent.get(key) !== true) return;
      throw new BrokerError(
        'BROKER_REFUSED',
        'A mark was refused: a worker that hears it reads too slowly and has missed publications, or is gone.',
      );
    } finally {
      this.#sent.delete(key);
    }
  }

  /** The exchange has refused a mark. */
  refused(address: string, id: number): void {
    const key = `${id} ${address}`;
    if (this.#sent.has(key)) this.#sent.set(key, true);
  }

  stop(): void {
    clearTimeout(this.#retryTimer);
    this.#server = undefined;
    for (const { reject } of [...this.#waiting.values()].flat()) {
      reject(new BrokerError('BROKER_UNAVAILABLE', 'Watching marks failed: the broker is stopped.'));
    }
    this.#waiting.clear();
  }

  #unwatch(address: string): void {
    const count = this.#watched.get(address) ?? 0;
    if (count > 1) {
      this.#watched.set(address, count - 1);
      return;
    }
    this.#watched.delete(address);
    // Where the link does not take it, marks that are not wanted go on to come, and are ignored.
    this.#link.send({ type: 'unwatchMarks', address });
  }
}

export function checkAddress(address: string): void {
  if (address.startsWith(ADDRESSES)) return;
  throw new BrokerError(
    'BROKER_INVALID_CHANNEL',
    `Marks of the embedded broker go to ${ADDRESSES}<uuid>, got ${JSON.stringify(address)}.`,
  );
}
