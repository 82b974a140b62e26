import type { Redis } from 'ioredis';
import { Attempt } from './attempt.ts';
import type { Greeting, Shortcoming } from './handshake.ts';
import type { RedisBrokerConfig } from '../options.ts';
import { Sentinels } from './sentinels.ts';

/** The pause before the second attempt, in ms; it doubles up to `maxRetryDelayMs`. */
const FIRST_RETRY_DELAY_MS = 50;

/** What it is for, and its name in CLIENT LIST. */
type ConnectionRole = 'publisher' | 'subscriber' | 'events';

export interface RedisConnectionOwner {
  /** Ready for commands. */
  connectionOnReady(connection: RedisConnection, client: Redis): void;
  /** An attempt failed, or an established connection is gone. The next attempt is on its way. */
  connectionOnLost(connection: RedisConnection, wasReady: boolean): void;
  /** Redis refused something that the broker can do without. */
  connectionOnShortcoming(shortcoming: Shortcoming): void;
}

/**
 * One connection to Redis that is made again for ever, with exponential pauses and jitter.
 *
 * ```
 * start ─► attempt ─► ready ─► lost ─┐
 *             ▲ └───── lost ─────────┤
 *             └────── pause ◄────────┘        stop ends it in any state
 * ```
 *
 * Each attempt is a new ioredis client that never reconnects by itself. So no queue, subscription set or
 * retry counter survives from one connection into the next; what a client had under way is rejected when it
 * ends; a name is looked up again, and Sentinel asked again; and there is no state in which ioredis has given
 * up unnoticed. The whole attempt has one deadline, where ioredis would wait for ever for the
 * handshake of a server that accepts and is silent.
 */
export class RedisConnection {
  readonly role: ConnectionRole;
  readonly #config: RedisBrokerConfig;
  readonly #owner: RedisConnectionOwner;
  readonly #sentinels: Sentinels | undefined;
  readonly #ending = new Set<Promise<void>>();
  #attempt: Attempt | undefined;
  #client: Redis | undefined;
  #server: string | undefined;
  #readyAt = 0;
  #failureCount = 0;
  #reason = '';
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(role: ConnectionRole, config: RedisBrokerConfig, owner: RedisConnectionOwner) {
    this.role = role;
    this.#config = config;
    this.#owner = owner;
    const { target } = config.location;
    if ('masterName' in target) {
      // All of them, and then the master, are asked within one attempt.
      this.#sentinels = new Sentinels(target, config.connectTimeoutMs / (target.sentinels.length + 1));
    }
  }

  /** The client to send commands with; undefined while the connection is not ready. */
  get client(): Redis | undefined {
    return this.#client;
  }

  /** See Greeting.server; undefined while the connection is not ready. */
  get server(): string | undefined {
    return this.#server;
  }

  /** Why it was lost last, in one sentence. */
  get reason(): string {
    return this.#reason;
  }

  start(): void {
    this.#begin();
  }

  /** Stops and resumes reading from the socket. The next connection is read in any case. */
  setReading(isReading: boolean): void {
    if (isReading) this.client?.stream.resume();
    else this.client?.stream.pause();
  }

  /** Gives the connection up and makes a new one, for a reason that only the owner can know. */
  reset(reason: string): void {
    if (this.#attempt !== undefined) this.#lose(this.#attempt, reason);
  }

  /** Ends it for good and resolves when no socket is left. In good order, what was sent arrives. */
  async stop(isInGoodOrder: boolean): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    if (this.#attempt !== undefined) this.#giveUp(this.#attempt, isInGoodOrder && this.#client !== undefined);
    this.#attempt = undefined;
    this.#client = undefined;
    await Promise.all(this.#ending);
  }

  #begin(): void {
    const attempt = new Attempt(`roost-${this.role}`, this.#config, this.#sentinels, {
      attemptOnReady: (ready, client, greeting) => this.#becomeReady(ready, client, greeting),
      attemptOnEnd: (ended, reason) => this.#lose(ended, reason),
    });
    this.#attempt = attempt;
    const { connectTimeoutMs, shownUrl } = this.#config;
    this.#timer = setTimeout(
      () => this.#lose(attempt, `Redis at ${shownUrl} was not ready within ${connectTimeoutMs} ms.`),
      connectTimeoutMs,
    );
    attempt.start();
  }

  #becomeReady(attempt: Attempt, client: Redis, { shortcomings, server }: Greeting): void {
    if (attempt !== this.#attempt) return;
    clearTimeout(this.#timer);
    this.#client = client;
    this.#server = server;
    this.#readyAt = performance.now();
    for (const shortcoming of shortcomings) this.#owner.connectionOnShortcoming(shortcoming);
    this.#owner.connectionOnReady(this, client);
  }

  #lose(attempt: Attempt, reason: string): void {
    if (attempt !== this.#attempt || this.#isStopped) return;
    const wasReady = this.#client !== undefined;
    this.#attempt = undefined;
    this.#client = undefined;
    this.#server = undefined;
    this.#reason = reason;
    clearTimeout(this.#timer);
    this.#giveUp(attempt, false);
    // One that is lost right after it was ready counts as a failure, or a server that accepts and closes
    // would be asked without a pause.
    const { maxRetryDelayMs } = this.#config;
    if (wasReady && performance.now() - this.#readyAt > maxRetryDelayMs) this.#failureCount = 0;
    this.#timer = setTimeout(() => this.#begin(), retryDelayMs(this.#failureCount, maxRetryDelayMs));
    this.#failureCount += 1;
    this.#owner.connectionOnLost(this, wasReady);
  }

  #giveUp(attempt: Attempt, isInGoodOrder: boolean): void {
    const ended = attempt.giveUp(isInGoodOrder).finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }
}

/** Between half and all of 50, 100, 200 … ms: brokers that lost the same Redis do not reconnect in step. */
function retryDelayMs(failureCount: number, maxDelayMs: number): number {
  const delayMs = Math.min(maxDelayMs, FIRST_RETRY_DELAY_MS * 2 ** Math.min(failureCount, 30));
  return delayMs * (0.5 + Math.random() / 2);
}
