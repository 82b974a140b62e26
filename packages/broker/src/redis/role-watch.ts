import type { Redis } from 'ioredis';
import { isDenied, isReplyError } from './failure.ts';
import { askRole } from './connection/role.ts';
import type { RedisRole } from './connection/role.ts';

export interface RoleWatchOptions {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** What the server says it is, when that is not `master`. The watch goes on. */
  readonly onOther: (role: RedisRole) => void;
  /** The server does not let itself be asked. The watch is over. */
  readonly onDenied: (error: Error) => void;
  /** It did not answer. The watch is over. */
  readonly onSilent: () => void;
}

/**
 * Asks a server again and again whether it is still the master, however busy the connection is: a failover by REPLICAOF cuts
 * none, and a replica goes on answering publishes that reach no other server.
 *
 * Like SilenceProbe it decides only after the event loop has read what had arrived.
 */
export class RoleWatch {
  readonly #options: RoleWatchOptions;
  #redis: Redis | undefined;
  #masterAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  constructor(options: RoleWatchOptions) {
    this.#options = options;
  }

  /** When the question was asked that was last answered with master, on the clock of `performance.now()`. */
  get masterAt(): number {
    return this.#masterAt;
  }

  /** Begins to watch a server that has just said that it is the master. */
  start(redis: Redis): void {
    this.stop();
    this.#redis = redis;
    this.#masterAt = performance.now();
    this.#askLater(redis);
  }

  stop(): void {
    this.#redis = undefined;
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
  }

  #askLater(redis: Redis): void {
    this.#timer = setTimeout(() => void this.#ask(redis), this.#options.intervalMs);
    this.#timer.unref();
  }

  async #ask(redis: Redis): Promise<void> {
    const askedAt = performance.now();
    this.#timer = setTimeout(() => {
      this.#immediate = setImmediate(() => {
        this.stop();
        this.#options.onSilent();
      });
    }, this.#options.timeoutMs);
    this.#timer.unref();
    try {
      const role = await askRole(redis);
      if (!this.#isAnswered(redis)) return;
      if (role === 'master') this.#masterAt = askedAt;
      else if (role !== 'unknown') this.#options.onOther(role);
    } catch (error) {
      // Anything else than a reply is the end of the connection, which is reported elsewhere.
      if (!isReplyError(error) || !this.#isAnswered(redis)) return;
      if (isDenied(error)) {
        this.stop();
        this.#options.onDenied(error);
      }
    }
    // Neither of the handlers has ended the watch: any other answer is a sign of life.
    if (this.#redis === redis) this.#askLater(redis);
  }

  /** Whether the answer counts: the watch is still over the one that gave it. */
  #isAnswered(redis: Redis): boolean {
    if (this.#redis !== redis) return false;
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    return true;
  }
}
