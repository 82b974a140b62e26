import type { Redis } from 'ioredis';
import { RedisClient } from './client.ts';
import { explainFailure, isReplyError } from '../failure.ts';
import { HandshakeError, shakeHands } from './handshake.ts';
import type { Greeting } from './handshake.ts';
import type { RedisBrokerConfig } from '../options.ts';
import { shownAddress } from '../redis-url.ts';
import type { ServerAddress } from '../redis-url.ts';
import { SentinelError } from './sentinels.ts';
import type { Sentinels } from './sentinels.ts';

export interface AttemptOwner {
  /** Greeted, and a master. */
  attemptOnReady(attempt: Attempt, redis: Redis, greeting: Greeting): void;
  /** It failed, or the connection that it came to is gone. Called once at most, and never after `giveUp`. */
  attemptOnEnd(attempt: Attempt, reason: string): void;
}

/**
 * One attempt to have a connection, and that connection: where Sentinel is used the master is asked for, then one client
 * connects and greets.
 *
 * ```
 * (asking sentinels ─►) connecting ─► greeting ─► ready ─► over
 * ```
 *
 * It is over when something fails in any of them, or when it is given up.
 */
export class Attempt {
  readonly #connectionName: string;
  readonly #config: RedisBrokerConfig;
  readonly #sentinels: Sentinels | undefined;
  readonly #owner: AttemptOwner;
  #client: RedisClient | undefined;
  #isOver = false;

  constructor(
    connectionName: string,
    config: RedisBrokerConfig,
    sentinels: Sentinels | undefined,
    owner: AttemptOwner,
  ) {
    this.#connectionName = connectionName;
    this.#config = config;
    this.#sentinels = sentinels;
    this.#owner = owner;
  }

  start(): void {
    void this.#run();
  }

  /**
   * Calls no handler from here on. In good order, what was sent arrives; otherwise what has not left this machine never
   * does. Resolves when no socket is left.
   */
  async giveUp(isInGoodOrder: boolean): Promise<void> {
    this.#isOver = true;
    const client = this.#client;
    client?.redis.removeAllListeners('messageBuffer');
    if (isInGoodOrder) client?.close();
    else client?.reset();
    await Promise.all([client?.ended, this.#sentinels?.abandon()]);
  }

  async #run(): Promise<void> {
    const { location } = this.#config;
    let shown = this.#config.shownUrl;
    try {
      const server = await this.#findServer();
      if (this.#isOver) return;
      if (this.#sentinels !== undefined && 'host' in server) {
        shown = `${location.isTls ? 'rediss' : 'redis'}://${shownAddress(server)}`;
      }
      const client = new RedisClient(server, location.isTls);
      this.#client = client;
      client.redis.once('end', () => this.#end(explainFailure(shown, client.lastError)));
      await client.connect();
      const greeting = await shakeHands(client.redis, location, shown, this.#connectionName);
      if (!this.#isOver) this.#owner.attemptOnReady(this, client.redis, greeting);
    } catch (error) {
      if (error instanceof HandshakeError) this.#sentinels?.doubt();
      if (error instanceof HandshakeError || error instanceof SentinelError) this.#end(error.message);
      else if (isReplyError(error)) this.#end(explainFailure(shown, error));
      // Anything else is the end of the connection, which 'end' reports with its cause.
    }
  }

  async #findServer(): Promise<ServerAddress> {
    const { target } = this.#config.location;
    if ('masterName' in target) {
      if (this.#sentinels !== undefined) return this.#sentinels.findMaster();
      throw new SentinelError('There is no sentinel to ask for the master.');
    }
    return target;
  }

  #end(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.attemptOnEnd(this, reason);
  }
}
