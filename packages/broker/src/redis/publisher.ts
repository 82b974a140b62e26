import type { PublishResult } from '../broker.ts';
import { Drain } from '../drain.ts';
import { BrokerError } from '../errors.ts';
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

  /** See Broker.publish. `channel` is for messages, `key` is where it goes. */
  async publish(channel: string, key: string, payload: Uint8Array): Promise<PublishResult> {
    const { client } = this.#connection;
    if (client === undefined) throw this.#unavailable(channel, this.#connection.reason);
    const bytes = payload.byteLength + PUBLISH_OVERHEAD_BYTES;
    if (this.#inFlightBytes + bytes > this.#config.maxInFlightBytes) {
      throw new BrokerError(
        'BROKER_OVERLOADED',
        `Publishing ${payload.byteLength} bytes to channel ${JSON.stringify(channel)} failed, nothing was sent: ${this.#inFlightBytes} bytes are under way to Redis and ${this.#config.maxInFlightBytes} may be, so publish more slowly or raise maxInFlightBytes.`,
      );
    }
    this.#begin(bytes);
    try {
      // ioredis copies the payload into the command before this returns to the caller.
      await client.publish(key, Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength));
      return PUBLISHED;
    } catch (error) {
      throw this.#explain(channel, error);
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

  #unavailable(channel: string, reason: string): BrokerError {
    return new BrokerError(
      'BROKER_UNAVAILABLE',
      `Publishing to channel ${JSON.stringify(channel)} failed, nothing was sent: ${reason}`,
    );
  }

  #explain(channel: string, error: unknown): BrokerError {
    const { shownUrl } = this.#config;
    if (isReplyError(error)) {
      return new BrokerError(
        'BROKER_REFUSED',
        `Publishing to channel ${JSON.stringify(channel)} failed: ${explainFailure(shownUrl, error)}`,
      );
    }
    if (isNeverSent(error)) {
      return this.#unavailable(channel, `Redis at ${shownUrl} is closing the connection.`);
    }
    return new BrokerError(
      'BROKER_OUTCOME_UNKNOWN',
      `Publishing to channel ${JSON.stringify(channel)} was under way when the connection to Redis at ${shownUrl} ended, so it may or may not have been delivered; publish it again only if twice is better than never.`,
    );
  }
}
