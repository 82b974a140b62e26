import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { ChannelEvents, RecordedEvent } from '../../channel-store.ts';
import { RedisConnection } from '../connection/connection.ts';
import { answerOf, isDenied, isReplyError } from '../failure.ts';
import { resolveOptions, type RedisBrokerConfig, type RedisBrokerOptions } from '../options.ts';
import { EventGroup } from './event-group.ts';
import { StoreKeys } from './keys.ts';

/** How often it is looked for events while somebody waits, in ms. */
const POLL_MS = 200;
/** How often the consumer asks for its turn, or keeps it, in ms. */
const LOOK_MS = 1_000;
/** Most events in one command, and in one answer: a client event may have some kilobytes. */
const MAX_AT_ONCE = 1_000;
/** Default of `turnMs`. */
const TURN_MS = 5_000;

export interface RedisEventsOptions extends Pick<
  RedisBrokerOptions,
  'url' | 'prefix' | 'connectTimeoutMs' | 'maxRetryDelayMs'
> {
  /** For how long a consumer keeps its turn after it has asked for it last, which it does once a second, in ms. Default 5,000. */
  readonly turnMs?: number;
  /** Redis denies what consuming needs. One sentence for logs; given once. */
  readonly onWarning: (reason: string) => void;
}

interface Waiting {
  readonly limit: number;
  readonly resolve: (events: readonly RecordedEvent[]) => void;
}

/**
 * The recorded events of all farms on the same Redis and prefix, over a connection of its own, which is made when events are
 * first asked for. One consumer has the turn and gets all of them; when it stops or dies, the next begins with what that one
 * had taken and not done.
 *
 * It looks five times a second while somebody waits, rather than in a command that blocks: that would hold up what is
 * done, and a Redis that is silent would look like one that has nothing.
 */
export class RedisEvents implements ChannelEvents {
  readonly #config: RedisBrokerConfig;
  readonly #onWarning: (reason: string) => void;
  readonly #connection: RedisConnection;
  readonly #group: EventGroup;
  readonly #waiting: Waiting[] = [];
  /** Given to the caller, and not done. */
  readonly #taken = new Set<string>();
  /** Done, but Redis does not know yet. */
  readonly #toTell = new Set<string>();
  #telling: Promise<void> | undefined;
  /** Lost with a connection: for the next who asks. */
  #found: RecordedEvent[] = [];
  #client: Redis | undefined;
  #hasTurn = false;
  /** Another one had the turn, and may have left something: that comes first. */
  #mayInherit = false;
  #isBusy = false;
  #isStarted = false;
  #isStopped = false;
  #isWarned = false;
  #pollTimer: NodeJS.Timeout | undefined;
  #lookTimer: NodeJS.Timeout | undefined;

  constructor({ onWarning, turnMs = TURN_MS, ...options }: RedisEventsOptions) {
    this.#config = resolveOptions({ ...options, handlers: NO_HANDLERS, wanted: new Set() });
    this.#onWarning = onWarning;
    const name = randomBytes(9).toString('base64url');
    this.#group = new EventGroup(new StoreKeys(this.#config.prefix), name, turnMs);
    this.#connection = new RedisConnection('events', this.#config, {
      connectionOnReady: (_, client) => this.#connected(client),
      connectionOnLost: () => this.#disconnected(),
      // The brokers of the workers tell the same.
      connectionOnShortcoming: () => undefined,
    });
  }

  take(limit: number): Promise<readonly RecordedEvent[]> {
    if (this.#isStopped) return Promise.resolve([]);
    if (!this.#isStarted) this.#connection.start();
    this.#isStarted = true;
    return new Promise((resolve) => {
      this.#waiting.push({ limit, resolve });
      this.#serveSoon(0);
    });
  }

  done(events: readonly RecordedEvent[]): void {
    for (const { id } of events) if (this.#taken.delete(id)) this.#toTell.add(id);
    void this.#tell();
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#pause();
    for (const { resolve } of this.#waiting.splice(0)) resolve([]);
    await this.#tell();
    const client = this.#client;
    if (client !== undefined) await this.#guarded(() => this.#group.leave(client));
    await this.#connection.stop(client !== undefined);
  }

  #connected(client: Redis): void {
    this.#client = client;
    this.#lookTimer = setInterval(() => void this.#look(client), LOOK_MS).unref();
    void this.#guarded(async () => {
      await this.#group.enter(client);
      // An answer may have been lost with the connection before: that is ours, and nobody here has it.
      const own = await this.#group.pendingOf(client);
      if (this.#client !== client) return;
      const known = new Set([...this.#found.map(({ id }) => id), ...this.#taken, ...this.#toTell]);
      this.#found = [...this.#found, ...own.filter(({ id }) => !known.has(id))];
    }).then(() => this.#look(client));
  }

  #disconnected(): void {
    this.#client = undefined;
    this.#hasTurn = false;
    this.#pause();
  }

  #pause(): void {
    clearInterval(this.#lookTimer);
    clearTimeout(this.#pollTimer);
    this.#pollTimer = undefined;
  }

  #serveSoon(delayMs: number): void {
    if (this.#isStopped || this.#isBusy || this.#waiting.length === 0) return;
    if (delayMs === 0) {
      clearTimeout(this.#pollTimer);
      void this.#serve();
      return;
    }
    this.#pollTimer = setTimeout(() => void this.#serve(), delayMs).unref();
  }

  /** Gives the first who waits what there is; one look at a time. */
  async #serve(): Promise<void> {
    const client = this.#client;
    const first = this.#waiting[0];
    if (client === undefined || first === undefined || this.#isBusy || !this.#hasTurn) return;
    this.#isBusy = true;
    if (this.#found.length === 0) await this.#find(client, first.limit);
    const events = this.#found.splice(0, first.limit);
    this.#isBusy = false;
    if (this.#isStopped) return;
    if (events.length > 0) {
      this.#waiting.shift();
      for (const { id } of events) this.#taken.add(id);
      first.resolve(events);
    }
    this.#serveSoon(events.length > 0 ? 0 : POLL_MS);
  }

  /** What the one before has left, then what is new. */
  async #find(client: Redis, limit: number): Promise<void> {
    if (this.#mayInherit) {
      const left = await this.#guarded(() => this.#group.takeOver(client));
      if (left === undefined) return;
      this.#found.push(...left);
      if (left.length > 0) return;
      this.#mayInherit = false;
    }
    const most = Math.min(limit, MAX_AT_ONCE);
    this.#found.push(...((await this.#guarded(() => this.#group.read(client, most))) ?? []));
  }

  async #look(client: Redis): Promise<void> {
    const hadTurn = this.#hasTurn;
    const hasTurn = (await this.#guarded(() => this.#group.takeTurn(client))) === true;
    if (this.#client !== client) return;
    this.#hasTurn = hasTurn;
    if (hasTurn && !hadTurn) {
      this.#mayInherit = true;
      this.#serveSoon(0);
    }
    void this.#tell();
  }

  /** Tells Redis what is done. Resolves when it knows all of it, or does not answer. */
  #tell(): Promise<void> {
    if (this.#client === undefined || this.#toTell.size === 0) return Promise.resolve();
    this.#telling ??= this.#tellAll();
    return this.#telling;
  }

  /** One command at a time: what comes meanwhile is told together. */
  async #tellAll(): Promise<void> {
    for (let client = this.#client; client !== undefined && this.#toTell.size > 0; client = this.#client) {
      const isTold = await this.#tellSome(client);
      if (!isTold) break;
    }
    this.#telling = undefined;
  }

  async #tellSome(client: Redis): Promise<boolean> {
    const ids = [...this.#toTell].slice(0, MAX_AT_ONCE);
    const isTold = await this.#guarded(async () => {
      await this.#group.done(client, ids);
      return true;
    });
    if (isTold !== true) return false;
    for (const id of ids) this.#toTell.delete(id);
    return true;
  }

  /** What fails is tried again with the next look or connection. A Redis that does not answer is given up. */
  async #guarded<Result>(call: () => Promise<Result>): Promise<Result | undefined> {
    const { probeTimeoutMs, shownUrl } = this.#config;
    const timer = setTimeout(
      () =>
        this.#connection.reset(`Redis at ${shownUrl} did not answer a command within ${probeTimeoutMs} ms.`),
      probeTimeoutMs,
    ).unref();
    try {
      return await call();
    } catch (error) {
      if (isDenied(error)) this.#warn(error);
      // It lost everything, and the group with it.
      else if (isReplyError(error) && error.message.startsWith('NOGROUP')) {
        if (this.#client !== undefined) void this.#group.enter(this.#client).catch(() => undefined);
      }
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Each command is denied in other words, and all for the same reason. */
  #warn(error: Error): void {
    if (this.#isWarned) return;
    this.#isWarned = true;
    const { shownUrl, prefix } = this.#config;
    this.#onWarning(
      `Recorded events cannot be consumed: Redis at ${shownUrl} denies it (${answerOf(error)}). Give the user ~${prefix}* and the commands that docs/guide/broadcasting.md names.`,
    );
  }
}

/** It neither subscribes nor publishes. */
const NO_HANDLERS: RedisBrokerOptions['handlers'] = {
  brokerOnPublication: () => undefined,
  brokerOnControl: () => undefined,
  brokerOnMark: () => undefined,
  brokerOnState: () => undefined,
  brokerOnGap: () => undefined,
  brokerOnWarning: () => undefined,
};
