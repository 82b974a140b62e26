import type { ChannelStep, ChannelStepAnswer } from './channel-steps.ts';

/**
 * The messages of a worker's MemoryBroker and the master's MemoryBrokerExchange. Plain data; whatever
 * carries the messages chooses the bytes. `payload` is only lent: it may be a view of a shared chunk that is
 * valid during the call, so a carrier that keeps it copies it, and so does the MemoryBroker.
 */
export type BrokerLinkMessage = WorkerToExchangeMessage | ExchangeToWorkerMessage;

/**
 * Messages of a worker. `subscribe` is answered by one `subscribed` with the same channels, `step` by one `stepped` with the
 * same id, any number of `publish`, `control` and `mark` by one `published`, `watchMarks` by one `marksWatched`.
 */
export type WorkerToExchangeMessage =
  | { readonly type: 'publish'; readonly channel: string; readonly payload: Buffer }
  /** To every worker. Counts as a publish. */
  | { readonly type: 'control'; readonly payload: Buffer }
  | { readonly type: 'step'; readonly id: number; readonly step: ChannelStep; readonly payload?: Buffer }
  | { readonly type: 'subscribe'; readonly channels: readonly string[] }
  | { readonly type: 'unsubscribe'; readonly channels: readonly string[] }
  /** The first one is the address of the worker itself, and its name. */
  | { readonly type: 'watchMarks'; readonly address: string }
  | { readonly type: 'unwatchMarks'; readonly address: string }
  /** To all who watch the address. Counts as a publish. */
  | MarkMessage;

/** A mark: see Broker.mark. */
interface MarkMessage {
  readonly type: 'mark';
  readonly address: string;
  readonly id: number;
}

/** Messages of the exchange. */
export type ExchangeToWorkerMessage =
  | { readonly type: 'publication'; readonly channel: string; readonly payload: Buffer }
  | { readonly type: 'subscribed'; readonly channels: readonly string[] }
  /** So many publications of this worker have their place in the order, since it was attached. */
  | { readonly type: 'published'; readonly count: number }
  | { readonly type: 'control'; readonly payload: Buffer }
  /** `server`: who this exchange is, and no other. */
  | { readonly type: 'marksWatched'; readonly address: string; readonly server: string }
  | MarkMessage
  /** A worker could not be given this worker's mark in order. Comes before the `published` that counts it. */
  | { readonly type: 'markRefused'; readonly address: string; readonly id: number }
  | {
      readonly type: 'stepped';
      readonly id: number;
      readonly answer: ChannelStepAnswer;
      readonly payload?: Buffer;
    }
  /** The link to the worker was full, or some channels had used their share: this many publications were dropped for it. */
  | {
      readonly type: 'gap';
      readonly channelCount: number;
      /** Their names; left out when they are more than {@link MAX_NAMES_PER_MESSAGE}. */
      readonly channels?: readonly string[];
      readonly droppedCount: number;
      readonly sinceMs: number;
    };

/** Most channel names in one message: 128 names are at most 128 KB. */
export const MAX_NAMES_PER_MESSAGE = 128;

/**
 * The worker's end of the channel to the master. What arrives from there is given to
 * `MemoryBroker.onMessage`, in order.
 */
export interface BrokerLink {
  /**
   * Sends one message. False: the byte bound of the channel is reached and the message was not taken.
   * Serialises or copies the payload before it returns.
   */
  send(message: WorkerToExchangeMessage): boolean;
  /** Stops and resumes the reading of what comes from the exchange. */
  setReading(isReading: boolean): void;
}

/** The exchange's end of the link to one worker, as `MemoryBrokerExchange.attach` returns it. */
export interface ExchangePort {
  /** A message of the worker. Anything else is ignored. */
  receive(message: BrokerLinkMessage): void;
  /** The worker is gone: its subscriptions end. Calling it twice is safe. */
  detach(): void;
}
