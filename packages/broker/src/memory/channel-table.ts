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
import { OwnerCounts } from './owner-counts.ts';
import { Rosters, type Roster } from './rosters.ts';

/** How long the version of a channel is remembered that has nothing else any more, in ms. */
const FORGET_MS = 60_000;
/** How often last events are looked through for those that are kept no longer, in ms: what is over is never shown. */
const SWEEP_MS = 10_000;
/** How long a missing last event is not recorded again, in ms. */
const MISS_MS = 1_800_000;

/** Whose entries go together: a worker. */
export interface TableOwner {
  readonly id: number;
  /** By channel: how many users are in it through this worker. */
  readonly members: Map<Entry, number>;
  /** Channels that it has subscribers of, and whether their sum is told to subscribers. */
  readonly counted: Map<Entry, boolean>;
  /** By which others know it; undefined before it has said it. */
  name: string | undefined;
}

interface Entry {
  readonly channel: string;
  version: number;
  readonly members: Roster;
  readonly counts: OwnerCounts<TableOwner>;
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
  readonly #rosters = new Rosters();
  /** Channels with subscribers. */
  readonly #occupied = new Set<string>();
  readonly #forgotten = new DeadlineQueue<Entry>(FORGET_MS, (entry) => this.#forget(entry));
  readonly #withLast = new Set<Entry>();
  #sweepTimer: NodeJS.Timeout | undefined;
  #lastVersion = 0;
  #lastOwner = 0;

  constructor(publish: (channel: string, envelope: Buffer) => void, log: EventLog) {
    this.#publish = publish;
    this.#log = log;
  }

  /** Somebody who has nothing in it yet. */
  makeOwner(): TableOwner {
    return { id: ++this.#lastOwner, members: new Map(), counted: new Map(), name: undefined };
  }

  join(
    owner: TableOwner,
    channel: string,
    member: Member,
    { maxMembers, mark, lastEvent }: JoinOptions,
  ): JoinResult {
    const { user, info } = member;
    const entry = this.#entry(channel);
    if (entry.members.size >= maxMembers && !this.#rosters.has(entry.members, user)) {
      return { outcome: 'full', snapshot: this.#snapshot(entry, Number.POSITIVE_INFINITY, lastEvent) };
    }
    const joined = this.#rosters.join(entry.members, member, owner.id);
    if (joined !== 'again') owner.members.set(entry, (owner.members.get(entry) ?? 0) + 1);
    if (joined === 'first') {
      this.#change(entry, 'join', user, Buffer.from(info));
      this.#log.add({ type: 'member_added', channel, user });
    } else if (mark) this.#mark(entry);
    return { outcome: 'joined', snapshot: this.#snapshot(entry, Number.POSITIVE_INFINITY, lastEvent) };
  }

  leave(owner: TableOwner, channel: string, user: string): void {
    const entry = this.#entries.get(channel);
    if (entry !== undefined) this.#leave(owner, entry, user);
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
    const had = counts.get(giver);
    const taken = Math.min(had, count);
    if (taken <= 0) return 0;
    counts.set(giver, had - taken);
    if (had === taken) giver.counted.delete(entry);
    counts.set(owner, counts.get(owner) + taken);
    owner.counted.set(entry, tellsCount);
    return taken;
  }

  counts(channels: readonly string[]): readonly ChannelCounts[] {
    return channels.map((channel) => {
      const entry = this.#entries.get(channel);
      return entry === undefined
        ? { subscribers: 0, members: 0 }
        : { subscribers: entry.counts.total, members: entry.members.size };
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
    for (const entry of owner.members.keys()) {
      for (const user of this.#rosters.usersOf(entry.members, owner.id)) this.#leave(owner, entry, user);
    }
    for (const [entry, tellsCount] of owner.counted) this.#count(entry, owner, 0, tellsCount);
    if (owner.name !== undefined) this.#owners.delete(owner.name);
  }

  stop(): void {
    this.#forgotten.clear();
    clearTimeout(this.#sweepTimer);
  }

  #leave(owner: TableOwner, entry: Entry, user: string): void {
    const left = this.#rosters.leave(entry.members, user, owner.id);
    if (left === 'absent') return;
    const here = (owner.members.get(entry) ?? 0) - 1;
    if (here > 0) owner.members.set(entry, here);
    else owner.members.delete(entry);
    if (left !== 'last') return;
    this.#change(entry, 'leave', user, EMPTY);
    this.#log.add({ type: 'member_removed', channel: entry.channel, user });
    this.#forgetLater(entry);
  }

  #count(entry: Entry, owner: TableOwner, count: number, tellsCount: boolean): number {
    const { channel, counts } = entry;
    const wasOccupied = !counts.isEmpty;
    counts.set(owner, count);
    if (count === 0) owner.counted.delete(entry);
    else owner.counted.set(entry, tellsCount);
    const isOccupied = !counts.isEmpty;
    if (isOccupied && !wasOccupied) {
      this.#occupied.add(channel);
      this.#log.add({ type: 'channel_occupied', channel });
    } else if (wasOccupied && !isOccupied) {
      this.#occupied.delete(channel);
      this.#log.add({ type: 'channel_vacated', channel });
    }
    const { total } = counts;
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
    return {
      version: entry.version,
      members: this.#rosters.members(entry.members, memberLimit),
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
        members: this.#rosters.make(),
        counts: new OwnerCounts(),
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
  return members.size === 0 && counts.isEmpty && last === undefined;
}

function lastOf({ last }: Entry): LastEvent | undefined {
  if (last === undefined) return undefined;
  const ttlMs = Math.floor(last.until - performance.now());
  return ttlMs < 1 ? undefined : { event: last.event, payload: last.payload, ttlMs };
}
