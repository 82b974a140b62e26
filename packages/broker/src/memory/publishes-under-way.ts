import type { PublishResult } from '../broker.ts';
import { Drain } from '../drain.ts';
import { BrokerError } from '../errors.ts';
import { Fifo } from '../fifo.ts';
import { receiverName } from '../receiver-name.ts';

const PUBLISHED: PublishResult = Object.freeze({});

export interface PublishesUnderWayOptions {
  /** Most bytes under way: payloads, and 896 for each. */
  readonly maxBytes: number;
  /** When nothing is acknowledged for this many ms, everything under way is given up. */
  readonly timeoutMs: number;
}

/** A publish that the exchange has not acknowledged. */
interface Pending {
  /** Undefined for a control message. */
  readonly channel: string | undefined;
  readonly bytes: number;
  readonly resolve: (result: PublishResult) => void;
  readonly reject: (error: BrokerError) => void;
}

/**
 * What a publish under way costs besides its payload, in bytes: its promise, its {@link Pending}, its place in the queue, and
 * what waits for it in a worker. Measured as the growth of the heap by a million of them, each awaited by an async function
 * whose promise has a handler (Node 20): 843.
 */
const PUBLISH_OVERHEAD_BYTES = 896;

/**
 * The publishes of one worker that its exchange has not ordered yet, oldest first. The link keeps their order, so the
 * exchange acknowledges them with one number: how many it has ordered since the worker is attached.
 *
 * Bounded in bytes and in time: an exchange that acknowledges nothing for `timeoutMs` has everything under way rejected with
 * `BROKER_OUTCOME_UNKNOWN`; if it does acknowledge them later, that is too late and changes nothing.
 */
export class PublishesUnderWay {
  readonly #options: PublishesUnderWayOptions;
  readonly #drain = new Drain();
  readonly #pending = new Fifo<Pending>();
  /** Settled since the worker is attached, acknowledged or given up. */
  #settledCount = 0;
  #bytes = 0;
  #progressAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  constructor(options: PublishesUnderWayOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#pending.length;
  }

  /** Payloads and overhead of what is under way. */
  get bytes(): number {
    return this.#bytes;
  }

  /** One that is larger than the bound may go alone. */
  hasRoomFor(payloadBytes: number): boolean {
    return this.count === 0 || this.#bytes + payloadBytes + PUBLISH_OVERHEAD_BYTES <= this.#options.maxBytes;
  }

  /** One more is on its way, to a channel or without one. Settles with its outcome. */
  begin(channel: string | undefined, payloadBytes: number): Promise<PublishResult> {
    if (this.count === 0) {
      this.#progressAt = performance.now();
      // The timer outlives a burst: it looks again only when it fires, so publishing costs no timer each.
      if (this.#timer === undefined && this.#immediate === undefined) this.#lookIn(this.#options.timeoutMs);
    }
    const bytes = payloadBytes + PUBLISH_OVERHEAD_BYTES;
    this.#bytes += bytes;
    return new Promise((resolve, reject) => {
      this.#pending.push({ channel, bytes, resolve, reject });
    });
  }

  /** The exchange has ordered this many since the worker was attached. */
  acknowledged(orderedCount: number): void {
    this.#progressAt = performance.now();
    while (this.#settledCount < orderedCount) {
      const pending = this.#take();
      if (pending === undefined) return;
      pending.resolve(PUBLISHED);
    }
  }

  /** Resolves when nothing is under way any more, at the latest after a second. */
  async drain(): Promise<void> {
    if (this.count > 0) await this.#drain.wait();
  }

  /** Gives up what is under way. */
  stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#giveUp('when the broker was stopped');
  }

  #take(): Pending | undefined {
    const pending = this.#pending.shift();
    if (pending === undefined) return undefined;
    this.#settledCount += 1;
    this.#bytes -= pending.bytes;
    if (this.count === 0) this.#drain.finish();
    return pending;
  }

  #giveUp(when: string): void {
    for (let pending = this.#take(); pending !== undefined; pending = this.#take()) {
      pending.reject(
        new BrokerError(
          'BROKER_OUTCOME_UNKNOWN',
          `Publishing to ${receiverName(pending.channel)} was under way ${when}, so it may or may not have been delivered; publish it again only if twice is better than never.`,
        ),
      );
    }
  }

  #lookIn(delayMs: number): void {
    // Decides after the event loop has read what had arrived, like SilenceProbe.
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#immediate = setImmediate(() => this.#look());
    }, delayMs);
    this.#timer.unref();
  }

  #look(): void {
    this.#immediate = undefined;
    if (this.count === 0) return;
    const { timeoutMs } = this.#options;
    const waitedMs = performance.now() - this.#progressAt;
    if (waitedMs < timeoutMs) this.#lookIn(Math.max(1, timeoutMs - waitedMs));
    else this.#giveUp(`and the master acknowledged nothing for ${timeoutMs} ms`);
  }
}
