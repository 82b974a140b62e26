import type { Redis } from 'ioredis';
import type { PublishResult } from '../broker.ts';
import { Drain } from '../drain.ts';
import { BrokerError } from '../errors.ts';
import { receiverName } from '../receiver-name.ts';
import type { RedisConnection } from './connection/connection.ts';
import { explainFailure, isNeverSent, isReplyError } from './failure.ts';
import type { RedisBrokerConfig } from './options.ts';

/** What a publish under way costs besides its payload, in bytes: ioredis keeps a Command and a promise. */
const PUBLISH_OVERHEAD_BYTES = 512;

const PUBLISHED: PublishResult = Object.freeze({});

/**
 * Sends publications, knows how many bytes are under way, and gives a connection up on which nothing is
 * answered any more. A publication is sent once: whether one that was under way when the connection broke
 * was received is not known, and sending it again could deliver it twice.
 */
export class Publisher {
  readonly #connection: RedisConnection;
  readonly #config: RedisBrokerConfig;
  readonly #drain = new Drain();
  #inFlightBytes = 0;
  #inFlightCount = 0;
  #progressAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(connection: RedisConnection, config: RedisBrokerConfig) {
    this.#connection = connection;
    this.#config = config;
  }

  /** Payload and overhead of what Redis has not answered. */
  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  /** See Broker.publish. `channel`, undefined for a control message, is for messages; `key` is where it goes. */
  publish(channel: string | undefined, key: string | Buffer, payload: Uint8Array): Promise<PublishResult> {
    return this.send(
      () => `Publishing to ${receiverName(channel)}`,
      payload.byteLength + PUBLISH_OVERHEAD_BYTES,
      async (client) => {
        // ioredis copies the payload into the command before this returns to the caller.
        await client.publish(key, Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength));
        return PUBLISHED;
      },
    );
  }

  /**
   * Sends whatever changes something in Redis, at once, and so that it counts as under way with its `bytes`. `doing` is the
   * beginning of a message. Rejects with a BrokerError, as Broker.publish does; one that `call` rejects with stays.
   */
  async send<Result>(
    doing: () => string,
    bytes: number,
    call: (client: Redis) => Promise<Result>,
  ): Promise<Result> {
    const { client } = this.#connection;
    if (client === undefined) throw unavailable(doing, this.#connection.reason);
    if (this.#inFlightBytes + bytes > this.#config.maxInFlightBytes) {
      throw new BrokerError(
        'BROKER_OVERLOADED',
        `${doing()} failed, nothing was sent: ${this.#inFlightBytes} bytes are under way to Redis, this takes ${bytes}, and ${this.#config.maxInFlightBytes} may be, so send more slowly or raise maxInFlightBytes.`,
      );
    }
    this.#begin(bytes);
    try {
      return await call(client);
    } catch (error) {
      throw this.#explain(doing, error);
    } finally {
      this.#end(bytes);
    }
  }

  /** Resolves when nothing is under way any more, at the latest after a second: then with false. */
  async drain(): Promise<boolean> {
    if (this.#inFlightCount === 0 || this.#connection.client === undefined) return this.#inFlightCount === 0;
    return this.#drain.wait();
  }

  /** Ends the watch over publishes under way. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  #begin(bytes: number): void {
    this.#inFlightBytes += bytes;
    this.#inFlightCount += 1;
    if (this.#inFlightCount > 1) return;
    this.#progressAt = performance.now();
    // The timer outlives a burst: it looks again only when it fires, so publishing costs no timer each.
    if (this.#timer === undefined) this.#lookIn(this.#config.publishTimeoutMs);
  }

  #end(bytes: number): void {
    this.#inFlightBytes -= bytes;
    this.#inFlightCount -= 1;
    this.#progressAt = performance.now();
    if (this.#inFlightCount === 0) this.#drain.finish();
  }

  #lookIn(delayMs: number): void {
    // Decides after the event loop has read what had arrived, like SilenceProbe.
    this.#timer = setTimeout(() => setImmediate(() => this.#look()), delayMs);
    this.#timer.unref();
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#inFlightCount === 0) return;
    const { publishTimeoutMs, shownUrl } = this.#config;
    const waitedMs = performance.now() - this.#progressAt;
    if (waitedMs < publishTimeoutMs) {
      this.#lookIn(Math.max(1, publishTimeoutMs - waitedMs));
      return;
    }
    this.#connection.reset(`Redis at ${shownUrl} did not answer a publish within ${publishTimeoutMs} ms.`);
    // What was under way is rejected in a moment; until then it must not count against the new connection.
    this.#progressAt = performance.now();
    this.#lookIn(publishTimeoutMs);
  }

  #explain(doing: () => string, error: unknown): BrokerError {
    const { shownUrl } = this.#config;
    if (error instanceof BrokerError) return error;
    if (isReplyError(error)) {
      return new BrokerError('BROKER_REFUSED', `${doing()} failed: ${explainFailure(shownUrl, error)}`);
    }
    if (isNeverSent(error)) return unavailable(doing, `Redis at ${shownUrl} is closing the connection.`);
    return new BrokerError(
      'BROKER_OUTCOME_UNKNOWN',
      `${doing()} was under way when the connection to Redis at ${shownUrl} ended, so it may or may not have happened; do it again only if twice is better than never.`,
    );
  }
}

function unavailable(doing: () => string, reason: string): BrokerError {
  return new BrokerError('BROKER_UNAVAILABLE', `${doing()} failed, nothing was sent: ${reason}`);
}
