import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { BrokerError } from '../errors.ts';
import { decodeMark, encodeMark } from '../mark-id.ts';
import type { RedisConnection } from './connection/connection.ts';
import type { Shortcoming } from './connection/handshake.ts';
import { answerOf, explainFailure, isDenied, isReplyError } from './failure.ts';
import type { Publisher } from './publisher.ts';

/** What a mark under way costs, in bytes: ioredis keeps a Command and a promise. */
const MARK_UNDER_WAY_BYTES = 512;

export interface MarksOptions {
  readonly prefix: string;
  /** For messages. */
  readonly shownUrl: string;
  readonly subscriber: RedisConnection;
  readonly publisher: Publisher;
  /** The broker's own key is refused. May be called again for the same. */
  readonly onShortcoming: (shortcoming: Shortcoming) => void;
}

/**
 * Marks of this broker and of those that it watches: each has a key, `<prefix>mark:<uuid>`, and a mark is a publication to it.
 * So it takes its place in the order of all publications, and travels the same connections as they do.
 */
export class Marks {
  readonly address: string;
  readonly #options: MarksOptions;
  readonly #keys: string;
  /** Other addresses, and how many watch each. */
  readonly #watched = new Map<string, number>();
  #isHeard = false;

  constructor(options: MarksOptions) {
    this.#options = options;
    this.#keys = `${options.prefix}mark:`;
    this.address = this.#keys + randomUUID();
  }

  /** Whether marks for this broker arrive, while it is connected. */
  get isHeard(): boolean {
    return this.#isHeard;
  }

  /** On a new connection, before any channel. Rejects when it is gone. */
  async subscribe(subscriber: Redis): Promise<void> {
    const { prefix, shownUrl, onShortcoming } = this.#options;
    this.#isHeard = false;
    try {
      await subscriber.subscribe(this.address, ...this.#watched.keys());
      this.#isHeard = true;
    } catch (error) {
      if (!isDenied(error)) throw error;
      const reason = `Redis at ${shownUrl} refuses marks (${answerOf(error)}), without which no connection can move from one worker to another: give the user &${prefix}*.`;
      onShortcoming({ kind: 'marks', reason });
    }
  }

  /** See Broker.watchMarks. */
  async watch(address: string): Promise<() => void> {
    this.#check(address);
    if (address === this.address) return () => undefined;
    const { subscriber, shownUrl } = this.#options;
    const { client } = subscriber;
    const doing = 'Watching marks';
    if (client === undefined) throw unavailable(doing, subscriber.reason);
    this.#watched.set(address, (this.#watched.get(address) ?? 0) + 1);
    try {
      await client.subscribe(address);
    } catch (error) {
      this.#unwatch(address);
      if (!isReplyError(error)) throw unavailable(doing, subscriber.reason);
      throw new BrokerError('BROKER_REFUSED', `${doing} failed: ${explainFailure(shownUrl, error)}`);
    }
    let isWatching = true;
    return () => {
      if (isWatching) this.#unwatch(address);
      isWatching = false;
    };
  }

  /** See Broker.mark. */
  async send(address: string, id: number): Promise<void> {
    this.#check(address);
    const mark = encodeMark(id);
    await this.#options.publisher.send(
      () => 'Publishing a mark',
      MARK_UNDER_WAY_BYTES,
      (client) => client.publish(address, mark),
    );
  }

  /** The id in a message to one of the keys; undefined when it is none, or not wanted any more. */
  idIn(address: string, message: Buffer): number | undefined {
    return address === this.address || this.#watched.has(address) ? decodeMark(message) : undefined;
  }

  #unwatch(address: string): void {
    const count = this.#watched.get(address) ?? 0;
    if (count > 1) {
      this.#watched.set(address, count - 1);
      return;
    }
    this.#watched.delete(address);
    // A refusal leaves a subscription whose marks are ignored; it ends with the connection.
    this.#options.subscriber.client?.unsubscribe(address).catch(() => undefined);
  }

  #check(address: string): void {
    if (address.startsWith(this.#keys)) return;
    throw new BrokerError(
      'BROKER_INVALID_CHANNEL',
      `Marks of this broker go to ${this.#keys}<uuid>, got ${JSON.stringify(address)}: it is of a broker with another prefix, or of another kind.`,
    );
  }
}

function unavailable(doing: string, reason: string): BrokerError {
  return new BrokerError('BROKER_UNAVAILABLE', `${doing} failed: ${reason}`);
}
