import { authenticate } from './authenticate.ts';
import { RedisClient } from './client.ts';
import { explain } from '../failure.ts';
import { shownAddress } from '../redis-url.ts';
import type { HostAndPort, SentinelLocation } from '../redis-url.ts';

/**
 * Asks sentinels, one after the other, where the master is, on a connection for each question. It begins with the one that
 * answered last; one whose answer was wrong (a sentinel may not know of a failover yet) is asked last the next time.
 * (redis.io/docs, "Guidelines for Redis clients with support for Redis Sentinel")
 */
export class Sentinels {
  readonly #location: SentinelLocation;
  readonly #timeoutMs: number;
  #first = 0;
  #asked: RedisClient | undefined;
  /** Counts questions and abandonments: a round that is not the last one is over. */
  #round = 0;

  /** Each has `timeoutMs` to answer. */
  constructor(location: SentinelLocation, timeoutMs: number) {
    this.#location = location;
    this.#timeoutMs = timeoutMs;
  }

  /** Rejects with a SentinelError when none of them knows. */
  async findMaster(): Promise<HostAndPort> {
    const { sentinels, masterName } = this.#location;
    this.#round += 1;
    const round = this.#round;
    const failures: string[] = [];
    for (let asked = 0; asked < sentinels.length && round === this.#round; asked += 1) {
      const index = (this.#first + asked) % sentinels.length;
      const sentinel = sentinels[index];
      if (sentinel === undefined) continue;
      const answer = await this.#ask(sentinel);
      if (typeof answer !== 'string') {
        this.#first = index;
        return answer;
      }
      failures.push(answer);
    }
    throw new SentinelError(
      `No sentinel knows the master ${JSON.stringify(masterName)}: ${failures.join('; ')}.`,
    );
  }

  /** What the last one answered was wrong. */
  doubt(): void {
    this.#first += 1;
  }

  /** Ends the question that is under way. */
  abandon(): Promise<void> {
    this.#round += 1;
    this.#asked?.reset();
    return this.#asked?.ended ?? Promise.resolve();
  }

  /** The master's address, or what was wrong. */
  async #ask(sentinel: HostAndPort): Promise<HostAndPort | string> {
    const { masterName, credentials, isTls } = this.#location;
    const client = new RedisClient(sentinel, isTls);
    this.#asked = client;
    const shown = `the one at ${shownAddress(sentinel)}`;
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      client.reset();
    }, this.#timeoutMs);
    try {
      await client.connect();
      const { redis } = client;
      // One that wants no password answers as well.
      if (credentials !== undefined) await authenticate(redis, credentials);
      const answer = await redis.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', masterName);
      return addressIn(answer) ?? `${shown} knows no such master`;
    } catch (error) {
      if (isLate) return `${shown} did not answer within ${this.#timeoutMs} ms`;
      return explain(shown, client.lastError ?? error).replace(/\.$/, '');
    } finally {
      clearTimeout(timer);
      client.reset();
      await client.ended;
      if (this.#asked === client) this.#asked = undefined;
    }
  }
}

/** None of the sentinels answered with an address. The message is one sentence with the reason of each. */
export class SentinelError extends Error {
  override readonly name = 'SentinelError';
}

function addressIn(answer: unknown): HostAndPort | undefined {
  if (!Array.isArray(answer)) return undefined;
  const [host, port]: readonly unknown[] = answer;
  return typeof host === 'string' && host !== '' ? { host, port: Number(port) } : undefined;
}
