import { FIRST_SHOWN, isHidden } from '../../hidden-channel.ts';
import type {
  ChannelEvent,
  ChannelEventType,
  JoinOptions,
  Member,
  ReadOptions,
} from '../../channel-store.ts';
import { pairOf } from '../../channel-store/pair.ts';
import type { TakeStep } from '../../channel-store/store-wire.ts';
import { fieldsOf } from './event-fields.ts';
import type { StoreKeys } from './keys.ts';
import type { Reply, ScriptRunner } from './script-runner.ts';
import { JOIN, LEAVE, PUBLISH_LAST, READ } from './scripts/members.ts';
import { ADD_EVENT, COUNT, COUNTS, OCCUPIED, TAKE } from './scripts/occupancy.ts';

/** How a member joins that has been in the channel before. */
export interface Again {
  /** The owner that had it. */
  readonly former: string | undefined;
  readonly isQuiet: boolean;
}

export interface CountWords {
  readonly channel: string;
  readonly count: number;
  readonly tellsCount: boolean;
  readonly isDead?: boolean;
  readonly former?: string | undefined;
  /** Nothing is published or recorded; or (`unlessGone`) only if the former owner's entry is gone. */
  readonly isQuiet?: boolean | 'unlessGone';
}

export interface StoreStepsOptions {
  readonly runner: ScriptRunner;
  readonly keys: StoreKeys;
  readonly recorded: readonly ChannelEventType[];
  readonly maxEvents: number;
}

/** The scripts, each with its keys and arguments in their places. */
export class StoreSteps {
  readonly #runner: ScriptRunner;
  readonly #keys: StoreKeys;
  readonly #recorded: ReadonlySet<ChannelEventType>;
  readonly #maxEvents: number;

  constructor({ runner, keys, recorded, maxEvents }: StoreStepsOptions) {
    this.#runner = runner;
    this.#keys = keys;
    this.#recorded = new Set(recorded);
    this.#maxEvents = maxEvents;
  }

  records(type: ChannelEventType): boolean {
    return this.#recorded.has(type);
  }

  join(
    owner: string,
    channel: string,
    { user, info }: Member,
    options: JoinOptions,
    isWanted: () => boolean,
  ): Promise<Reply> {
    const flags = `s${options.mark ? 'm' : ''}${options.lastEvent ? 'l' : ''}`;
    return this.#join(owner, owner, channel, user, info, options.maxMembers, flags, isWanted);
  }

  /** Nobody is refused who has been there before. */
  joinAgain(
    owner: string,
    channel: string,
    { user, info }: Member,
    { former = owner, isQuiet }: Again,
    isWanted: () => boolean,
  ): Promise<Reply> {
    const flags = isQuiet ? 'q' : '';
    return this.#join(owner, former, channel, user, info, Number.POSITIVE_INFINITY, flags, isWanted);
  }

  leave(
    owner: string,
    pair: string,
    [channel, user]: readonly [string, string],
    isWanted?: () => boolean,
  ): Promise<Reply> {
    const keys = this.#keys;
    return this.#runner.run({
      script: LEAVE,
      keys: [
        keys.leases,
        keys.owner(owner),
        keys.members(channel),
        keys.version(channel),
        keys.events,
        keys.eventsDropped,
      ],
      args: [
        owner,
        `m${pair}`,
        user,
        keys.published(channel),
        this.records('member_removed') ? 'r' : '',
        this.#maxEvents,
        channel,
      ],
      doing: `Leaving channel ${JSON.stringify(channel)}`,
      ...(isWanted !== undefined && { isWanted }),
    });
  }

  count(owner: string, words: CountWords, isWanted?: () => boolean): Promise<Reply> {
    const keys = this.#keys;
    const { channel, count, former, tellsCount, isDead = false, isQuiet = false } = words;
    const isShown = !isHidden(channel);
    const flags = [
      tellsCount && 't',
      isQuiet === true && 'q',
      isQuiet === 'unlessGone' && 'm',
      isDead && 'd',
      isShown && this.records('channel_occupied') && 'o',
      isShown && this.records('channel_vacated') && 'v',
      isShown && this.records('subscription_count') && 'n',
    ];
    return this.#runner.run({
      script: COUNT,
      keys: [
        keys.leases,
        keys.owner(owner),
        keys.owner(former ?? owner),
        keys.counts(channel),
        keys.occupied,
        keys.events,
        keys.eventsDropped,
      ],
      args: [
        owner,
        former ?? '',
        channel,
        count,
        keys.published(channel),
        flags.filter((flag) => flag !== false).join(''),
        this.#maxEvents,
      ],
      doing: `Telling the subscribers of channel ${JSON.stringify(channel)}`,
      ...(isWanted !== undefined && { isWanted }),
    });
  }

  take(owner: string, { channel, from, count, tellsCount }: TakeStep): Promise<Reply> {
    const keys = this.#keys;
    return this.#runner.run({
      script: TAKE,
      keys: [keys.leases, keys.owner(owner), keys.owner(from), keys.counts(channel)],
      args: [owner, from, channel, count, tellsCount ? 't' : ''],
      doing: `Taking over subscribers of channel ${JSON.stringify(channel)}`,
    });
  }

  read(owner: string, channel: string, options: ReadOptions): Promise<Reply> {
    const keys = this.#keys;
    const flags = `${options.members ? 's' : ''}${options.mark ? 'm' : ''}${options.lastEvent ? 'l' : ''}`;
    return this.#runner.run({
      script: READ,
      keys: [keys.leases, keys.members(channel), keys.version(channel), keys.last(channel)],
      args: [owner, bounded(options.memberLimit), keys.published(channel), flags],
      doing: `Reading channel ${JSON.stringify(channel)}`,
    });
  }

  publishLast(channel: string, envelope: Buffer, keepMs: number): Promise<Reply> {
    const keys = this.#keys;
    return this.#runner.run({
      script: PUBLISH_LAST,
      keys: [keys.version(channel), keys.last(channel), keys.missed(channel)],
      args: [envelope, keys.published(channel), keepMs],
      doing: `Publishing to channel ${JSON.stringify(channel)}`,
    });
  }

  counts(channels: readonly string[]): Promise<Reply> {
    return this.#runner.run({
      script: COUNTS,
      keys: channels.flatMap((channel) => [this.#keys.counts(channel), this.#keys.members(channel)]),
      args: [],
      doing: 'Counting subscribers',
    });
  }

  occupied(prefix: string, limit: number): Promise<Reply> {
    // No name of UTF-8 has the byte FF.
    const highest = Buffer.concat([Buffer.from(`(${prefix}`), Buffer.of(0xff)]);
    return this.#runner.run({
      script: OCCUPIED,
      keys: [this.#keys.occupied],
      args: [`[${prefix === '' ? FIRST_SHOWN : prefix}`, highest, limit],
      doing: 'Looking for occupied channels',
    });
  }

  async addEvent(event: ChannelEvent): Promise<void> {
    if (!this.records(event.type)) return;
    await this.#runner.run({
      script: ADD_EVENT,
      keys: [this.#keys.events, this.#keys.eventsDropped, this.#keys.missed(event.channel)],
      args: [this.#maxEvents, event.type === 'cache_miss' ? 'o' : '', ...fieldsOf(event)],
      doing: `Recording an event of channel ${JSON.stringify(event.channel)}`,
    });
  }

  #join(
    owner: string,
    former: string,
    channel: string,
    user: string,
    info: string,
    maxMembers: number,
    flags: string,
    isWanted: () => boolean,
  ): Promise<Reply> {
    const keys = this.#keys;
    return this.#runner.run({
      script: JOIN,
      keys: [
        keys.leases,
        keys.owner(owner),
        keys.owner(former),
        keys.members(channel),
        keys.version(channel),
        keys.last(channel),
        keys.events,
        keys.eventsDropped,
      ],
      args: [
        owner,
        `m${pairOf(channel, user)}`,
        user,
        info,
        bounded(maxMembers),
        keys.published(channel),
        this.records('member_added') ? `${flags}r` : flags,
        this.#maxEvents,
        channel,
      ],
      doing: `Joining channel ${JSON.stringify(channel)}`,
      isWanted,
    });
  }
}

/** Lua has doubles, too, but Redis writes an infinity as `inf`. */
function bounded(count: number): number {
  return Math.min(count, Number.MAX_SAFE_INTEGER);
}
