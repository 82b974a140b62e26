import { Redis } from 'ioredis';
import type { RedisOptions } from 'ioredis';
import { explainFailure } from './failure.ts';
import type { RedisBrokerConfig } from './options.ts';

/** The pause before the second attempt, in ms; it doubles up to `maxRetryDelayMs`. */
const FIRST_RETRY_DELAY_MS = 50;

/** How long a connection that is given up may take to say goodbye, in ms. A silent Redis never would. */
const FAREWELL_MS = 100;

export interface RedisConnectionOwner {
  /** Ready for commands. */
  connectionOnReady(connection: RedisConnection, client: Redis): void;
  /** An attempt failed, or an established connection is gone. The next attempt is on its way. */
  connectionOnLost(connection: RedisConnection, wasReady: boolean): void;
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
 * ends; and there is no state in which ioredis has given up but nobody knows. The whole attempt has one
 * deadline, where ioredis would wait for ever for the handshake of a server that accepts and is silent.
 */
export class RedisConnection {
  readonly role: 'publisher' | 'subscriber';
  readonly #config: RedisBrokerConfig;
  readonly #owner: RedisConnectionOwner;
  readonly #ending = new Set<Redis>();
  #current: Redis | undefined;
  #readyAt: number | undefined;
  #failureCount = 0;
  #reason = '';
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(role: 'publisher' | 'subscriber', config: RedisBrokerConfig, owner: RedisConnectionOwner) {
    this.role = role;
    this.#config = config;
    this.#owner = owner;
  }

  /** The client to send commands with; undefined while the connection is not ready. */
  get client(): Redis | undefined {
    return this.#readyAt === undefined ? undefined : this.#current;
  }

  /** Why it was lost last, in one sentence. */
  get reason(): string {
    return this.#reason;
  }

  start(): void {
    this.#attempt();
  }

  /** Gives the connection up and makes a new one, for a reason that only the owner can know. */
  reset(reason: string): void {
    if (this.#current !== undefined) this.#lose(this.#current, reason);
  }

  /** Ends it for good and resolves when no socket is left. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    if (this.#current !== undefined) this.#giveUp(this.#current);
    this.#current = undefined;
    this.#readyAt = undefined;
    await Promise.all([...this.#ending].map((client) => ended(client)));
  }

  #attempt(): void {
    const client = new Redis(this.#config.url, this.#clientOptions());
    this.#current = client;
    let lastError: unknown;
    client.on('error', (error) => {
      lastError = error;
    });
    client.once('end', () => this.#lose(client, explainFailure(this.#config.shownUrl, lastError)));
    client.once('ready', () => this.#becomeReady(client));
    const { connectTimeoutMs, shownUrl } = this.#config;
    this.#timer = setTimeout(
      () => this.#lose(client, `Redis at ${shownUrl} was not ready within ${connectTimeoutMs} ms.`),
      connectTimeoutMs,
    );
    // Also told by 'error' and 'end'.
    client.connect().catch(() => {});
  }

  #becomeReady(client: Redis): void {
    if (client !== this.#current) return;
    clearTimeout(this.#timer);
    this.#readyAt = performance.now();
    this.#owner.connectionOnReady(this, client);
  }

  #lose(client: Redis, reason: string): void {
    if (client !== this.#current || this.#isStopped) return;
    const readyAt = this.#readyAt;
    this.#current = undefined;
    this.#readyAt = undefined;
    this.#reason = reason;
    clearTimeout(this.#timer);
    this.#giveUp(client);
    // One that is lost right after it was ready counts as a failure, or a server that accepts and closes
    // would be asked without a pause.
    const { maxRetryDelayMs } = this.#config;
    if (readyAt !== undefined && performance.now() - readyAt > maxRetryDelayMs) this.#failureCount = 0;
    this.#timer = setTimeout(() => this.#attempt(), retryDelayMs(this.#failureCount, maxRetryDelayMs));
    this.#failureCount += 1;
    this.#owner.connectionOnLost(this, readyAt !== undefined);
  }

  #giveUp(client: Redis): void {
    client.removeAllListeners('ready').removeAllListeners('messageBuffer');
    if (client.status === 'end') return;
    this.#ending.add(client);
    client.once('end', () => this.#ending.delete(client));
    client.disconnect();
  }

  #clientOptions() {
    return {
      lazyConnect: true,
      retryStrategy: () => null,
      connectionName: `roost-${this.role}`,
      connectTimeout: this.#config.connectTimeoutMs,
      disconnectTimeout: FAREWELL_MS,
      // A command that cannot be written now fails now; one that was written is never written again.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      maxRetriesPerRequest: null,
      // The subscriber needs no ordinary commands, and RESP2 costs less per message.
      protocol: 2,
    } satisfies RedisOptions;
  }
}

/** Between half and all of 50, 100, 200 … ms: brokers that lost the same Redis do not come back in step. */
function retryDelayMs(failureCount: number, maxDelayMs: number): number {
  const delayMs = Math.min(maxDelayMs, FIRST_RETRY_DELAY_MS * 2 ** Math.min(failureCount, 30));
  return delayMs * (0.5 + Math.random() / 2);
}

function ended(client: Redis): Promise<void> {
  if (client.status === 'end') return Promise.resolve();
  return new Promise((resolve) => {
    client.once('end', () => resolve());
  });
}
