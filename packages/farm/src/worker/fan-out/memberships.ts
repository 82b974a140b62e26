import type { Arena, ChannelStore } from '@roost/broker';
import type { ConnectionTable } from '../rows/connection-table.ts';
import type { Hub } from './hub.ts';

/** Of a record: the connection's next one (0: none), the hub's id of the channel, then the user in UTF-8. */
const AT = { next: 0, channel: 4, user: 8 };

const INITIAL_CHANNELS = 64;
const NO_MEMBERSHIPS: readonly (readonly [channel: string, user: string])[] = [];

/** What stands between a user and its end as a member of a channel, while connections are on their way into it. */
interface Pending {
  /** Connections that are about to join. */
  joins: number;
  /** Whether a connection here has joined, beside further ones. */
  hasJoined: boolean;
}

export interface MembershipsParts {
  readonly table: Pick<ConnectionTable, 'capacity'>;
  readonly arena: Arena;
  readonly hub: Pick<Hub, 'idOf' | 'nameOf'>;
  readonly store: Pick<ChannelStore, 'isMember' | 'leave'>;
}

/**
 * As whom connections are in channels: records of the arena, linked to a connection's other ones; 24 bytes for a user of up
 * to 14.
 *
 * The store counts a user once for each worker, however many connections the user has here: the first one joins, and
 * leaving is for the last one. Which is the last is known without a count where a user has one connection, as nearly all do:
 * only further ones are counted, and those that are on their way.
 */
export class Memberships {
  readonly #capacity: number;
  readonly #arena: Arena;
  readonly #hub: MembershipsParts['hub'];
  readonly #store: MembershipsParts['store'];
  /** First record of each row; 0 for none. Made with the first of all, for most farms have none. */
  #first: Int32Array | undefined;
  /** How many there are in each channel, by the hub's id. */
  #inChannel = new Int32Array(0);
  #memberCount = 0;
  #channelCount = 0;
  /** Joined connections beyond the first, by channel and user. */
  readonly #further = new Map<string, number>();
  /** By channel and user. */
  readonly #pending = new Map<string, Pending>();

  constructor({ table, arena, hub, store }: MembershipsParts) {
    this.#capacity = table.capacity;
    this.#arena = arena;
    this.#hub = hub;
    this.#store = store;
  }

  /** Pairs of a connection and a channel in which it is a member. */
  get count(): number {
    return this.#memberCount;
  }

  /** Channels of which connections here are members. */
  get channelCount(): number {
    return this.#channelCount;
  }

  /** A connection of the user is about to join. To be called before the store is asked; {@link release} or {@link add} follows. */
  hold(channel: string, user: string): void {
    const pair = pairOf(channel, user);
    const pending = this.#pending.get(pair);
    if (pending !== undefined) pending.joins++;
    // While nobody is on the way, whom the store knows has a connection here.
    else this.#pending.set(pair, { joins: 1, hasJoined: this.#store.isMember(channel, user) });
  }

  /** One that held has not joined after all, whatever the store said. */
  release(channel: string, user: string): void {
    const pair = pairOf(channel, user);
    const pending = this.#pending.get(pair);
    if (pending === undefined || !this.#settled(pair, pending)) return;
    if (!pending.hasJoined) this.#store.leave(channel, user);
  }

  /** One that held has joined, and is subscribed to the channel. */
  add(slot: number, channel: string, user: string): void {
    const pair = pairOf(channel, user);
    const pending = this.#pending.get(pair);
    if (pending !== undefined) {
      if (pending.hasJoined) this.#further.set(pair, (this.#further.get(pair) ?? 0) + 1);
      pending.hasJoined = true;
      this.#settled(pair, pending);
    }
    const id = this.#hub.idOf(channel);
    this.#first ??= new Int32Array(this.#capacity);
    const membership = this.#arena.allocate(AT.user + Buffer.byteLength(user));
    const record = this.#arena.get(membership);
    record.writeInt32LE(this.#first[slot] ?? 0, AT.next);
    record.writeInt32LE(id, AT.channel);
    record.write(user, AT.user);
    this.#first[slot] = membership;
    this.#count(id, 1);
  }

  /** As whom the connection is in the channel; undefined when it is no member. */
  userOf(slot: number, channel: string): string | undefined {
    const id = this.#hub.idOf(channel);
    for (let at = this.#first?.[slot] ?? 0; at !== 0; at = this.#next(at)) {
      if (this.#channelOf(at) === id) return this.#userOf(at);
    }
    return undefined;
  }

  /** Where the connection is a member, and as whom. */
  of(slot: number): readonly (readonly [channel: string, user: string])[] {
    const first = this.#first?.[slot] ?? 0;
    if (first === 0) return NO_MEMBERSHIPS;
    const found: [string, string][] = [];
    for (let at = first; at !== 0; at = this.#next(at)) {
      found.push([this.#hub.nameOf(this.#channelOf(at)), this.#userOf(at)]);
    }
    return found;
  }

  /** The connection is about to unsubscribe from the channel. */
  leave(slot: number, channel: string): void {
    const first = this.#first;
    if (first === undefined || first[slot] === 0) return;
    const id = this.#hub.idOf(channel);
    let previous = 0;
    for (let at = first[slot] ?? 0; at !== 0; at = this.#next(at)) {
      if (this.#channelOf(at) === id) {
        const next = this.#next(at);
        if (previous === 0) first[slot] = next;
        else this.#arena.get(previous).writeInt32LE(next, AT.next);
        this.#remove(at);
        return;
      }
      previous = at;
    }
  }

  /** The connection is about to unsubscribe from all channels. */
  leaveAll(slot: number): void {
    const first = this.#first;
    if (first === undefined) return;
    let at = first[slot] ?? 0;
    first[slot] = 0;
    while (at !== 0) {
      const next = this.#next(at);
      this.#remove(at);
      at = next;
    }
  }

  /** Whether a connection here is a member of the channel. */
  has(channel: string): boolean {
    const id = this.#hub.idOf(channel);
    return id >= 0 && (this.#inChannel[id] ?? 0) > 0;
  }

  /** Channels of which connections here are members. */
  channels(): string[] {
    return Array.from(this.counts(), ([channel]) => channel);
  }

  /** The same, with the number of these connections. */
  *counts(): Generator<[channel: string, connections: number]> {
    for (const [id, count] of this.#inChannel.entries()) if (count > 0) yield [this.#hub.nameOf(id), count];
  }

  #remove(membership: number): void {
    const id = this.#channelOf(membership);
    const [channel, user] = [this.#hub.nameOf(id), this.#userOf(membership)];
    this.#arena.free(membership);
    this.#count(id, -1);
    const pair = pairOf(channel, user);
    const further = this.#further.get(pair) ?? 0;
    const pending = this.#pending.get(pair);
    if (further > 1) this.#further.set(pair, further - 1);
    else if (further === 1) this.#further.delete(pair);
    // Another one, which is on its way, may go on or end it.
    else if (pending !== undefined) pending.hasJoined = false;
    else this.#store.leave(channel, user);
  }

  /** One that was on its way is there, or gave up. True: it was the last. */
  #settled(pair: string, pending: Pending): boolean {
    pending.joins--;
    return pending.joins === 0 && this.#pending.delete(pair);
  }

  #count(id: number, change: 1 | -1): void {
    if (id >= this.#inChannel.length) {
      const larger = new Int32Array(Math.max(INITIAL_CHANNELS, 2 * this.#inChannel.length, id + 1));
      larger.set(this.#inChannel);
      this.#inChannel = larger;
    }
    const before = this.#inChannel[id] ?? 0;
    this.#inChannel[id] = before + change;
    this.#memberCount += change;
    if (Math.min(before, before + change) === 0) this.#channelCount += change;
  }

  #next(membership: number): number {
    return this.#arena.get(membership).readInt32LE(AT.next);
  }

  #channelOf(membership: number): number {
    return this.#arena.get(membership).readInt32LE(AT.channel);
  }

  #userOf(membership: number): string {
    return this.#arena.get(membership).toString('utf8', AT.user);
  }
}

/** Names of channels have no control characters. */
function pairOf(channel: string, user: string): string {
  return `${channel}\n${user}`;
}
