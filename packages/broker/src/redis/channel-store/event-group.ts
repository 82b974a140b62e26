import type { Redis } from 'ioredis';
import type { RecordedEvent } from '../../channel-store.ts';
import { isReplyError } from '../failure.ts';
import { recordedIn } from './event-fields.ts';
import type { StoreKeys } from './keys.ts';

/** The consumer group of all farms. */
const GROUP = 'roost';
/** Events of another consumer that are taken over together. */
const CLAIM_COUNT = 100;

/**
 * Whose turn it is.
 *
 * ```
 * KEYS  1 events:turn
 * ARGV  1 consumer  2 ms
 * → 1 it has the turn for so long, 0 another one has it
 * ```
 */
const TURN = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`;

/** Ends the turn, if it has it. KEYS and ARGV as above. */
const END_TURN = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0`;

/**
 * One of the consumers of the recorded events. One at a time has the turn, and only that one reads: what belongs together,
 * such as a departure and a return, must come to one place, in order. With commands of Redis 5 only.
 */
export class EventGroup {
  readonly #keys: StoreKeys;
  readonly #name: string;
  readonly #turnMs: number;

  constructor(keys: StoreKeys, name: string, turnMs: number) {
    this.#keys = keys;
    this.#name = name;
    this.#turnMs = turnMs;
  }

  /** Makes the group if there is none. */
  async enter(client: Redis): Promise<void> {
    try {
      await client.call('XGROUP', 'CREATE', this.#keys.events, GROUP, '0', 'MKSTREAM');
    } catch (error) {
      if (!isReplyError(error) || !error.message.startsWith('BUSYGROUP')) throw error;
    }
  }

  /** Takes the turn, or keeps it; false while another one has it. */
  async takeTurn(client: Redis): Promise<boolean> {
    return (await client.call('EVAL', TURN, 1, this.#keys.eventsTurn, this.#name, this.#turnMs)) === 1;
  }

  /** Ends the turn: what is not done is for the next. */
  async leave(client: Redis): Promise<void> {
    await client.call('EVAL', END_TURN, 1, this.#keys.eventsTurn, this.#name);
  }

  /** The next that nobody has. */
  async read(client: Redis, limit: number): Promise<RecordedEvent[]> {
    return eventsIn(await this.#read(client, limit, '>'));
  }

  /** Everything that this consumer has and has not done. */
  async pendingOf(client: Redis): Promise<RecordedEvent[]> {
    const events: RecordedEvent[] = [];
    for (let after = '0'; ;) {
      const page = await this.#read(client, CLAIM_COUNT, after);
      events.push(...eventsIn(page));
      const last = page.at(-1);
      if (last === undefined) return events;
      after = idOf(last);
      // What was thrown away meanwhile is listed without its fields, and stays pending until it is acknowledged.
      const trimmed = page.filter((entry) => !Array.isArray(listIn(entry)[1])).map(idOf);
      if (trimmed.length > 0) await client.call('XACK', this.#keys.events, GROUP, ...trimmed);
    }
  }

  async done(client: Redis, ids: readonly string[]): Promise<void> {
    await Promise.all([
      client.call('XACK', this.#keys.events, GROUP, ...ids),
      client.call('XDEL', this.#keys.events, ...ids),
    ]);
  }

  /** With the turn: takes over what others have left, the oldest first. Empty: there is nothing more. */
  async takeOver(client: Redis): Promise<RecordedEvent[]> {
    for (const name of await this.#others(client)) {
      const events = await this.#takeOver(client, name);
      if (events.length > 0) return events;
    }
    return [];
  }

  async #others(client: Redis): Promise<string[]> {
    const consumers = listIn(await client.call('XINFO', 'CONSUMERS', this.#keys.events, GROUP));
    return consumers.map((facts) => String(listIn(facts)[1])).filter((name) => name !== this.#name);
  }

  async #takeOver(client: Redis, name: string): Promise<RecordedEvent[]> {
    const { events: stream } = this.#keys;
    for (;;) {
      const pending = listIn(await client.call('XPENDING', stream, GROUP, '-', '+', CLAIM_COUNT, name));
      if (pending.length === 0) {
        await client.call('XGROUP', 'DELCONSUMER', stream, GROUP, name);
        return [];
      }
      const ids = pending.map(idOf);
      const taken = eventsIn(await client.call('XCLAIM', stream, GROUP, this.#name, 0, ...ids));
      if (taken.length > 0) return taken;
      await this.#forgetTrimmed(client, ids);
    }
  }

  /** Before Redis 7 what was thrown away stays pending for ever. */
  async #forgetTrimmed(client: Redis, ids: readonly string[]): Promise<void> {
    const { events: stream } = this.#keys;
    const found = await Promise.all(ids.map((id) => client.call('XRANGE', stream, id, id)));
    const trimmed = ids.filter((_, index) => listIn(found[index]).length === 0);
    if (trimmed.length > 0) await client.call('XACK', stream, GROUP, ...trimmed);
  }

  /** Entries as Redis has them. */
  async #read(client: Redis, limit: number, after: string): Promise<readonly unknown[]> {
    const { events: stream } = this.#keys;
    const reply = listIn(
      await client.call('XREADGROUP', 'GROUP', GROUP, this.#name, 'COUNT', limit, 'STREAMS', stream, after),
    );
    return listIn(listIn(reply[0])[1]);
  }
}

function eventsIn(entries: unknown): RecordedEvent[] {
  return listIn(entries)
    .map((entry) => recordedIn(entry))
    .filter((event) => event !== undefined);
}

function idOf(entry: unknown): string {
  return String(listIn(entry)[0]);
}

function listIn(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : [];
}
