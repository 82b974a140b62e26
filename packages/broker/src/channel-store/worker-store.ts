import type { PublishResult } from '../broker.ts';
import { invalidChannel } from '../channel-name.ts';
import type {
  ChannelCounts,
  ChannelEvent,
  ChannelSnapshot,
  ChannelStore,
  ChannelStoreCounters,
  JoinOptions,
  JoinResult,
  Member,
  ReadOptions,
} from '../channel-store.ts';
import { isHidden } from '../hidden-channel.ts';
import { encodeEnvelope, type PublicationAttributes } from '../envelope.ts';
import { BrokerError } from '../errors.ts';
import { LocalCounts, type Telling } from './local-counts.ts';
import { LocalMembers, type Leave } from './local-members.ts';
import { pairOf } from './pair.ts';
import type { StoreWire } from './store-wire.ts';

/** After how long what failed is tried again, in ms. */
const RETRY_MS = 500;
/** A field of an envelope has no more. */
const MAX_USER_BYTES = 65_535;

/**
 * The worker's side of a channel store: it knows who is where through this worker, and sees to it that the other side knows
 * the same, through whatever wire leads there. What was called is done in the end, or the caller was told that it is not.
 */
export class WorkerStore implements ChannelStore {
  readonly counters: ChannelStoreCounters = {
    errorCount: 0,
    lostLeaseCount: 0,
    reapedOwnerCount: 0,
    droppedEventCount: 0,
  };
  readonly #wire: StoreWire;
  readonly #members = new LocalMembers();
  readonly #counts = new LocalCounts((telling) => this.#tell(telling));
  /** Last events that are being published. */
  readonly #publishes = new Set<Promise<PublishResult>>();
  #retryTimer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(wire: StoreWire) {
    this.#wire = wire;
    wire.connect({
      members: this.#members,
      counts: this.#counts,
      counters: this.counters,
      flush: () => this.#flush(),
    });
  }

  async join(channel: string, member: Member, options: JoinOptions): Promise<JoinResult> {
    checkChannel(channel);
    checkUser(member.user);
    const attempt = this.#members.begin(channel, member.user);
    const isWanted = (): boolean => this.#members.isCurrent(attempt);
    try {
      const result = await this.#wire.join({ channel, member, options, isWanted });
      if (result.outcome === 'full') this.#members.wasFull(attempt);
      else this.#members.succeeded(attempt, member.info);
      return result;
    } catch (error) {
      this.counters.errorCount += 1;
      const leave = isWithoutEffect(error)
        ? this.#members.hadNoEffect(attempt)
        : this.#members.isUncertain(attempt);
      if (leave !== undefined) this.#leave(leave);
      throw error;
    }
  }

  leave(channel: string, user: string): void {
    const leave = this.#members.leave(channel, user);
    if (leave !== undefined) this.#leave(leave);
  }

  isMember(channel: string, user: string): boolean {
    return this.#members.has(channel, user);
  }

  infoOf(channel: string, user: string): string | undefined {
    return this.#members.infoOf(pairOf(channel, user));
  }

  async read(channel: string, options: ReadOptions): Promise<ChannelSnapshot> {
    checkChannel(channel);
    return this.#counted(this.#wire.read(channel, options));
  }

  async publishLast(
    channel: string,
    payload: Uint8Array,
    attributes: PublicationAttributes,
    keepMs: number,
  ): Promise<PublishResult> {
    checkChannel(channel);
    checkInteger('keepMs', keepMs);
    const published = this.#counted(
      this.#wire.publishLast(channel, encodeEnvelope(payload, attributes), keepMs),
    );
    this.#publishes.add(published);
    try {
      return await published;
    } finally {
      this.#publishes.delete(published);
    }
  }

  /** How many last events have no place in the order yet: steps may wait, or be sent a second time. */
  get publishCount(): number {
    return this.#publishes.size;
  }

  /** Resolves when those that are on their way now have their place, or have failed. */
  async published(): Promise<void> {
    await Promise.allSettled(this.#publishes);
  }

  setSubscribers(channel: string, count: number, { tellsCount }: { readonly tellsCount: boolean }): void {
    if (!this.#isStopped) this.#counts.set(channel, count, tellsCount);
  }

  subscribers(channel: string): number {
    return this.#counts.count(channel);
  }

  get owner(): string | undefined {
    return this.#wire.owner;
  }

  async holdCounts(channels: readonly string[]): Promise<void> {
    await Promise.all(channels.map((channel) => this.#counts.hold(channel)));
  }

  releaseCounts(channels: readonly string[]): void {
    for (const channel of channels) this.#counts.release(channel);
  }

  async takeCount(
    channel: string,
    from: string,
    count: number,
    { tellsCount }: { readonly tellsCount: boolean },
  ): Promise<number> {
    try {
      const taken = await this.#counted(this.#wire.take({ channel, from, count, tellsCount }));
      this.#counts.shifted(channel, taken);
      return taken;
    } catch (error) {
      this.#counts.shifted(channel, undefined);
      throw error;
    }
  }

  gaveCount(channel: string, count: number | undefined): void {
    this.#counts.shifted(channel, count === undefined ? undefined : -count);
  }

  async counts(channels: readonly string[]): Promise<readonly ChannelCounts[]> {
    return channels.length === 0 ? [] : this.#counted(this.#wire.counts(channels));
  }

  async occupiedChannels(prefix: string, limit: number): Promise<readonly string[]> {
    checkInteger('limit', limit);
    if (isHidden(prefix)) return [];
    return this.#counted(this.#wire.occupiedChannels(prefix, limit));
  }

  async addEvent(event: ChannelEvent): Promise<void> {
    await this.#counted(this.#wire.addEvent(event));
  }

  reap(owner: string): void {
    this.#wire.reap(owner);
  }

  /** Ends it for good: what this worker has joined leaves. Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#retryTimer);
    this.#counts.stop();
    await this.#wire.stop();
  }

  #leave(leave: Leave): void {
    if (!this.#wire.isOpen) return;
    leave.isUnderWay = true;
    this.#wire
      .leave({ pair: leave.pair, isWanted: () => this.#members.isDue(leave) })
      .then(() => this.#members.leaveDone(leave))
      .catch(() => {
        leave.isUnderWay = false;
        if (this.#members.isDue(leave)) this.#retryLater();
      });
  }

  #tell(telling: Telling): void {
    if (!this.#wire.isOpen) {
      this.#wire.use();
      return;
    }
    const { channel } = telling;
    this.#counts.begin(telling);
    this.#wire
      .count({
        channel,
        count: () => this.#counts.count(channel),
        tellsCount: () => this.#counts.tells(channel),
        isWanted: () => this.#counts.isDue(telling),
      })
      .then(({ count, total }) => this.#counts.succeeded(telling, count, total))
      .catch(() => {
        this.#counts.failed(telling);
        if (this.#counts.isDue(telling)) this.#retryLater();
      });
  }

  #flush(): void {
    for (const leave of this.#members.leavesToSend()) this.#leave(leave);
    for (const telling of this.#counts.tellings()) this.#tell(telling);
  }

  /** A wire that closes calls for a flush when it opens again, so there it costs nothing. */
  #retryLater(): void {
    if (this.#isStopped) return;
    this.counters.errorCount += 1;
    this.#retryTimer ??= setTimeout(() => {
      this.#retryTimer = undefined;
      this.#flush();
    }, RETRY_MS).unref();
  }

  async #counted<Result>(result: Promise<Result>): Promise<Result> {
    try {
      return await result;
    } catch (error) {
      this.counters.errorCount += 1;
      throw error;
    }
  }
}

function checkChannel(channel: string): void {
  const invalid = invalidChannel(channel);
  if (invalid !== undefined) throw invalid;
}

function checkUser(user: string): void {
  const bytes = Buffer.byteLength(user);
  if (bytes === 0 || bytes > MAX_USER_BYTES) {
    throw new RangeError(`a user has 1 to ${MAX_USER_BYTES} bytes of UTF-8, got ${bytes}`);
  }
}

function checkInteger(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RangeError(`${name} is an integer from 1, got ${value}`);
  }
}

/** Whether the answer says that nothing was done. */
function isWithoutEffect(error: unknown): boolean {
  return (
    error instanceof BrokerError &&
    (error.code === 'BROKER_UNAVAILABLE' || error.code === 'BROKER_OVERLOADED')
  );
}
