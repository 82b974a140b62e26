import type {
  ChannelCounts,
  ChannelEvent,
  ChannelSnapshot,
  JoinOptions,
  JoinResult,
  LastEvent,
  Member,
  ReadOptions,
} from '../channel-store.ts';
import type { TakeStep } from '../channel-store/store-wire.ts';
import { DeadlineQueue } from '../deadline-queue.ts';
import { encodeEnvelope, parseEnvelope, type PublicationKind } from '../envelope.ts';
import { isHidden } from '../hidden-channel.ts';
import type { EventLog } from './event-log.ts';

/** How long the version of a channel is remembered that has nothing else any more, in ms. */
const FORGET_MS = 60_000;
/** How often last events are looked through for those that are kept no longer, in ms: what is over is never shown. */
const SWEEP_MS = 10_000;
/** How long a missing last event is not recorded again, in ms. */
const MISS_MS = 1_800_000;

/** Whose entries go together: a worker. */
export interface TableOwner {
  /** By channel: the users who are in it through this worker. */
  readonly members: Map<Entry, Set<string>>;
  /** Channels that it has subscribers of, and whether their sum is told to subscribers. */
  readonly counted: Map<Entry, boolean>;
  /** By which others know it; undefined before it has said it. */
  name: string | undefined;
}

interface MemberEntry {
  readonly info: string;
  /** In how many workers. */
  ownerCount: number;
}

interface Entry {
  readonly channel: string;
  version: number;
  readonly members: Map<string, MemberEntry>;
  readonly counts: Map<TableOwner, number>;
  last: { readonly event: string | undefined; readonly payload: Buffer; readonly until: number } | undefined;
  missedUntil: number;
}

/**
 * The state of all channels of a farm with the embedded broker, in the master. Each method is one step: it changes the state,
 * publishes the change, and records it.
 *
 * Bounded by what the workers have: members, subscribed channels, and channels with a last event.
 */
export class ChannelTable {
  readonly #publish: (channel: string, envelope: Buffer) => void;
  readonly #log: EventLog;
  readonly #owners = new Map<string, TableOwner>();
  readonly #entries = new Map<string, Entry>();
  /** Channels with subscribers. */
  readonly #occupied = new Set<string>();
  readonly #forgotten = new DeadlineQueue<Entry>(FORGET_MS, (entry) => this.#forget(entry));
  readonly #withLast = new Set<Entry>();
  #sweepTimer: NodeJS.Timeout | undefined;
  #lastVersion = 0;

  constructor(publish: (channel: string, envelope: Buffer) => void, log: EventLog) {
    this.#publish = publish;
    this.#log = log;
  }

  join(
    owner: TableOwner,
    channel: string,
    { user, info }: Member,
    { maxMembers, mark, lastEvent }: JoinOptions,
  ): JoinResult {
    const entry = this.#entry(channel);
    const isHere = owner.members.get(entry)?.has(user) ?? false;
    const member = entry.members.get(user);
    if (member === undefined && entry.members.size >= maxMembers) {
      return { outcome: 'full', snapshot: this.#snapshot(entry, Number.POSITIVE_INFINITY, lastEvent) };
    }
    if (!isHere) addTo(owner.members, entry, user);
    if (member === undefined) {
      entry.members.set(user, { info, ownerCount: 1 });
      this.#change(entry, 'join', user, Buffer.from(info));
      this.#log.add({ type: 'member_added', channel, user });
    } else {
      if (!isHere) member.ownerCount += 1;
      if (mark) this.#mark(entry);
    }
    return { outcome: 'joined', snapshot: this.#snapshot(entry, Number.POSITIVE_INFINITY, lastEvent) };
  }

  leave(owner: TableOwner, channel: string, user: string): void {
    const entry = this.#entries.get(channel);
    const here = entry === undefined ? undefined : owner.members.get(entry);
    if (entry === undefined || here?.delete(user) !== true) return;
    if (here.size === 0) owner.members.delete(entry);
    this.#left(entry, user);
  }

  read(channel: string, { mark, members, lastEvent, memberLimit }: ReadOptions): ChannelSnapshot {
    const entry = this.#entries.get(channel);
    if (entry === undefined) return { version: 0, members: [], memberCount: 0, lastEvent: undefined };
    if (mark) this.#mark(entry);
    return this.#snapshot(entry, members ? memberLimit : 0, lastEvent);
  }

  /** The envelope has version 0. It is only lent. */
  publishLast(channel: string, envelope: Buffer, keepMs: number): void {
    const entry = this.#entry(channel);
    const { event, except, user, payload } = parseEnvelope(Buffer.from(envelope)) ?? { payload: envelope };
    entry.version = this.#nextVersion();
    entry.missedUntil = 0;
    entry.last = { event, payload, until: performance.now() + keepMs };
    this.#withLast.add(entry);
    this.#sweepLater();
    this.#publish(
      channel,
      encodeEnvelope(payload, {
        version: entry.version,
        ...(event !== undefined && { event }),
        ...(except !== undefined && { except }),
        ...(user !== undefined && { user }),
      }),
    );
  }

  /** Returns the sum over all workers. */
  setSubscribers(owner: TableOwner, channel: string, count: number, tellsCount: boolean): number {
    return this.#count(this.#entry(channel), owner, count, tellsCount);
  }

  /** An owner says what others know it by. The first name is its own. */
  name(owner: TableOwner, name: string): void {
    if (owner.name !== undefined) return;
    owner.name = name;
    this.#owners.set(name, owner);
  }

  /** See ChannelStore.takeCount. Answers how many have been taken. */
  take(owner: TableOwner, { channel, from, count, tellsCount }: TakeStep): number {
    const giver = this.#owners.get(from);
    const entry = this.#entries.get(channel);
    if (giver === undefined || entry === undefined || giver === owner) return 0;
    const { counts } = entry;
    const had = counts.get(giver) ?? 0;
    const taken = Math.min(had, count);
    if (taken <= 0) return 0;
    if (had > taken) counts.set(giver, had - taken);
    else {
      counts.delete(giver);
      giver.counted.delete(entry);
    }
    counts.set(owner, (counts.get(owner) ?? 0) + taken);
    owner.counted.set(entry, tellsCount);
    return taken;
  }

  counts(channels: readonly string[]): readonly ChannelCounts[] {
    return channels.map((channel) => {
      const entry = this.#entries.get(channel);
      return entry === undefined
        ? { subscribers: 0, members: 0 }
        : { subscribers: totalOf(entry), members: entry.members.size };
    });
  }

  occupiedChannels(prefix: string, limit: number): readonly string[] {
    const names: string[] = [];
    for (const channel of this.#occupied) {
      if (!channel.startsWith(prefix) || isHidden(channel)) continue;
      names.push(channel);
      if (names.length === limit) break;
    }
    return names;
  }

  addEvent(event: ChannelEvent): void {
    if (!this.#log.records(event.type)) return;
    if (event.type === 'cache_miss') {
      const entry = this.#entry(event.channel);
      const now = performance.now();
      this.#forgetLater(entry);
      if (entry.missedUntil > now) return;
      entry.missedUntil = now + MISS_MS;
    }
    this.#log.add(event);
  }

  /** Everything of a worker that is gone. */
  remove(owner: TableOwner): void {
    for (const [entry, users] of owner.members) for (const user of users) this.#left(entry, user);
    owner.members.clear();
    for (const [entry, tellsCount] of owner.counted) this.#count(entry, owner, 0, tellsCount);
    if (owner.name !== undefined) this.#owners.delete(owner.name);
  }

  stop(): void {
    this.#forgotten.clear();
    clearTimeout(this.#sweepTimer);
  }

  #left(entry: Entry, user: string): void {
    const member = entry.members.get(user);
    if (member === undefined) return;
    member.ownerCount -= 1;
    if (member.ownerCount > 0) return;
    entry.members.delete(user);
    this.#change(entry, 'leave', user, EMPTY);
    this.#log.add({ type: 'member_removed', channel: entry.channel, user });
    this.#forgetLater(entry);
  }

  #count(entry: Entry, owner: TableOwner, count: number, tellsCount: boolean): number {
    const { channel, counts } = entry;
    const wasOccupied = counts.size > 0;
    if (count === 0) {
      counts.delete(owner);
      owner.counted.delete(entry);
    } else {
      counts.set(owner, count);
      owner.counted.set(entry, tellsCount);
    }
    const isOccupied = counts.size > 0;
    if (isOccupied && !wasOccupied) {
      this.#occupied.add(channel);
      this.#log.add({ type: 'channel_occupied', channel });
    } else if (wasOccupied && !isOccupied) {
      this.#occupied.delete(channel);
      this.#log.add({ type: 'channel_vacated', channel });
    }
    const total = totalOf(entry);
    if (tellsCount) {
      this.#publish(channel, encodeEnvelope(Buffer.from(String(total)), { kind: 'count' }));
      this.#log.add({ type: 'subscription_count', channel, count: total });
    }
    this.#forgetLater(entry);
    return total;
  }

  #change(entry: Entry, kind: PublicationKind, user: string, payload: Buffer): void {
    entry.version = this.#nextVersion();
    this.#publish(entry.channel, encodeEnvelope(payload, { kind, version: entry.version, user }));
  }

  #mark({ channel, version }: Entry): void {
    if (version > 0) this.#publish(channel, encodeEnvelope(EMPTY, { kind: 'mark', version }));
  }

  /** One line of versions for all channels, so that one that is forgotten goes on above where it was. */
  #nextVersion(): number {
    this.#lastVersion = Math.max(this.#lastVersion + 1, Date.now() * 1000);
    return this.#lastVersion;
  }

  #snapshot(entry: Entry, memberLimit: number, withLast: boolean): ChannelSnapshot {
    const members: Member[] = [];
    for (const [user, { info }] of entry.members) {
      if (members.length >= memberLimit) break;
      members.push({ user, info });
    }
    return {
      version: entry.version,
      members,
      memberCount: entry.members.size,
      lastEvent: withLast ? lastOf(entry) : undefined,
    };
  }

  #entry(channel: string): Entry {
    let entry = this.#entries.get(channel);
    if (entry === undefined) {
      entry = {
        channel,
        version: 0,
        members: new Map(),
        counts: new Map(),
        last: undefined,
        missedUntil: 0,
      };
      this.#entries.set(channel, entry);
    }
    return entry;
  }

  #forgetLater(entry: Entry): void {
    if (isEmpty(entry)) this.#forgotten.add(entry);
  }

  #forget(entry: Entry): void {
    // Another may have its name by now.
    if (isEmpty(entry) && this.#entries.get(entry.channel) === entry) this.#entries.delete(entry.channel);
  }

  #sweepLater(): void {
    if (this.#withLast.size === 0) return;
    this.#sweepTimer ??= setTimeout(() => {
      this.#sweepTimer = undefined;
      const now = performance.now();
      for (const entry of this.#withLast) {
        if (entry.last !== undefined && entry.last.until > now) continue;
        entry.last = undefined;
        this.#withLast.delete(entry);
        this.#forgetLater(entry);
      }
      this.#sweepLater();
    }, SWEEP_MS).unref();
  }
}

const EMPTY = Buffer.alloc(0);

function isEmpty({ members, counts, last }: Entry): boolean {
  return members.size === 0 && counts.size === 0 && last === undefined;
}

function lastOf({ last }: Entry): LastEvent | undefined {
  if (last === undefined) return undefined;
  const ttlMs = Math.floor(last.until - performance.now());
  return ttlMs < 1 ? undefined : { event: last.event, payload: last.payload, ttlMs };
}

function totalOf({ counts }: Entry): number {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
}

function addTo(members: TableOwner['members'], entry: Entry, user: string): void {
  const users = members.get(entry);
  if (users === undefined) members.set(entry, new Set([user]));
  else users.add(user);
}
