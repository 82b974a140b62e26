import type { PublishResult } from '../broker.ts';
import type {
  ChannelCounts,
  ChannelEvent,
  ChannelSnapshot,
  ChannelStoreCounters,
  JoinOptions,
  JoinResult,
  Member,
  ReadOptions,
} from '../channel-store.ts';
import type { LocalCounts } from './local-counts.ts';
import type { LocalMembers } from './local-members.ts';

/** A step that may have to wait, or to be sent again: it is asked whether it is still wanted right before it is sent. */
interface Step {
  readonly isWanted: () => boolean;
}

export interface JoinStep extends Step {
  readonly channel: string;
  readonly member: Member;
  readonly options: JoinOptions;
}

export interface LeaveStep extends Step {
  /** See {@link splitPair}. */
  readonly pair: string;
}

export interface CountStep extends Step {
  readonly channel: string;
  /** At the moment when it is sent. */
  readonly count: () => number;
  readonly tellsCount: () => boolean;
}

/** See ChannelStore.takeCount. */
export interface TakeStep {
  readonly channel: string;
  readonly from: string;
  readonly count: number;
  readonly tellsCount: boolean;
}

/** What a count step came to: what was told, and the sum over all workers then. */
export interface CountResult {
  readonly count: number;
  readonly total: number;
}

/** What is true in this worker, for a wire that has to tell all of it again. */
export interface Truth {
  readonly members: LocalMembers;
  readonly counts: LocalCounts;
  readonly counters: ChannelStoreCounters;
  /** Sends what leaves and what is to be told, as far as it is not under way. */
  flush(): void;
}

/**
 * The way from a worker to where the state of channels is. Steps of one channel and user are taken there in the order in
 * which they are given. Rejects as {@link ChannelStore} does; a step that is not wanted any more rejects with
 * `BROKER_UNAVAILABLE`.
 */
export interface StoreWire {
  /** Whether a leave or a count can be sent now; when that changes, `flush` of the truth is called. */
  readonly isOpen: boolean;
  /** See ChannelStore.owner. */
  readonly owner: string | undefined;
  /** Called once, before anything else. */
  connect(truth: Truth): void;
  /** There is something to send: it is to open as soon as it can. */
  use(): void;
  join(step: JoinStep): Promise<JoinResult>;
  leave(step: LeaveStep): Promise<void>;
  count(step: CountStep): Promise<CountResult>;
  take(step: TakeStep): Promise<number>;
  read(channel: string, options: ReadOptions): Promise<ChannelSnapshot>;
  /** The envelope has version 0 in the place of its version. */
  publishLast(channel: string, envelope: Buffer, keepMs: number): Promise<PublishResult>;
  counts(channels: readonly string[]): Promise<readonly ChannelCounts[]>;
  occupiedChannels(prefix: string, limit: number): Promise<readonly string[]>;
  addEvent(event: ChannelEvent): Promise<void>;
  /** An owner is dead. */
  reap(owner: string): void;
  stop(): Promise<void>;
}
