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
import type { ChannelTable, TableOwner } from './channel-table.ts';

/** One step of a channel store, taken in the master. */
export type ChannelStep =
  | {
      readonly what: 'join';
      readonly channel: string;
      readonly member: Member;
      readonly options: JoinOptions;
    }
  | { readonly what: 'leave'; readonly channel: string; readonly user: string }
  | {
      readonly what: 'subscribers';
      readonly channel: string;
      readonly count: number;
      readonly tellsCount: boolean;
    }
  | ({ readonly what: 'take' } & TakeStep)
  | { readonly what: 'read'; readonly channel: string; readonly options: ReadOptions }
  /** The message's payload is the envelope, with version 0. */
  | { readonly what: 'last'; readonly channel: string; readonly keepMs: number }
  | { readonly what: 'counts'; readonly channels: readonly string[] }
  | { readonly what: 'occupied'; readonly prefix: string; readonly limit: number }
  | { readonly what: 'event'; readonly event: ChannelEvent };

/** What a step came to. The payload of a last event is that of the message. */
export type ChannelStepAnswer =
  | { readonly what: 'done' }
  | {
      readonly what: 'snapshot';
      readonly outcome: JoinResult['outcome'];
      readonly snapshot: Omit<ChannelSnapshot, 'lastEvent'> & {
        readonly lastEvent: (Omit<LastEvent, 'payload' | 'event'> & { readonly event?: string }) | undefined;
      };
    }
  | { readonly what: 'total'; readonly total: number }
  | { readonly what: 'counts'; readonly counts: readonly ChannelCounts[] }
  | { readonly what: 'channels'; readonly channels: readonly string[] };

/** An answer as it travels: a last event's payload beside it, as raw bytes. */
export interface TakenStep {
  readonly answer: ChannelStepAnswer;
  readonly payload?: Buffer;
}

const DONE: TakenStep = { answer: { what: 'done' } };

/** Takes one step of a worker. `payload` is only lent. */
export function takeStep(
  table: ChannelTable,
  owner: TableOwner,
  step: ChannelStep,
  payload: Buffer | undefined,
): TakenStep {
  switch (step.what) {
    case 'join': {
      const { outcome, snapshot } = table.join(owner, step.channel, step.member, step.options);
      return snapshotAnswer(outcome, snapshot);
    }
    case 'leave':
      table.leave(owner, step.channel, step.user);
      return DONE;
    case 'subscribers': {
      const total = table.setSubscribers(owner, step.channel, step.count, step.tellsCount);
      return { answer: { what: 'total', total } };
    }
    case 'take':
      return { answer: { what: 'total', total: table.take(owner, step) } };
    case 'read':
      return snapshotAnswer('joined', table.read(step.channel, step.options));
    case 'last':
      if (payload !== undefined) table.publishLast(step.channel, payload, step.keepMs);
      return DONE;
    case 'counts':
      return { answer: { what: 'counts', counts: table.counts(step.channels) } };
    case 'occupied':
      return {
        answer: { what: 'channels', channels: table.occupiedChannels(step.prefix, step.limit) },
      };
    default:
      table.addEvent(step.event);
      return DONE;
  }
}

function snapshotAnswer(outcome: JoinResult['outcome'], snapshot: ChannelSnapshot): TakenStep {
  const { lastEvent, ...rest } = snapshot;
  if (lastEvent === undefined)
    return { answer: { what: 'snapshot', outcome, snapshot: { ...rest, lastEvent } } };
  const { event, ttlMs, payload } = lastEvent;
  return {
    answer: {
      what: 'snapshot',
      outcome,
      snapshot: { ...rest, lastEvent: { ttlMs, ...(event !== undefined && { event }) } },
    },
    payload,
  };
}
