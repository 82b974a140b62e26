import type { ChannelStore } from './channel-store.ts';
import type { PublicationAttributes, PublicationKind } from './envelope.ts';

/** A place in the history of a channel. Reserved for brokers that keep history; none does yet. */
export interface StreamPosition {
  /** Changes when the history of the channel was lost, so that an offset alone is never trusted. */
  readonly epoch: string;
  /** Counts the publications of the channel within one epoch, from 1. */
  readonly offset: number;
}

/** One message to one channel. */
export interface Publication extends PublicationAttributes {
  readonly channel: string;
  /** Raw bytes, owned by the receiver: in memory of its own, never a view of a network chunk. */
  readonly payload: Buffer;
  /** `publication` for whatever came without an envelope. */
  readonly kind: PublicationKind;
  /** See {@link Envelope.version}. */
  readonly version: number;
  /** Reserved for history: no broker produces it yet. */
  readonly position?: StreamPosition;
}

/** What a publish came to. Empty today; an object so that a position fits later. */
export interface PublishResult {
  /** Reserved for history: no broker produces it yet. */
  readonly position?: StreamPosition;
}

/**
 * - `connecting`: not yet started, or started and the first attempt is under way.
 * - `ready`: publications flow in both directions and every wanted channel is subscribed.
 * - `away`: something is missing; the broker keeps trying for ever.
 * - `stopped`: for good.
 */
export type BrokerState = 'connecting' | 'ready' | 'away' | 'stopped';

/** Publications may be missing: those of `channelCount` channels during the last `sinceMs` milliseconds. */
export interface BrokerGap {
  /** How many subscribed channels are concerned. 0 when only control messages may be missing. */
  readonly channelCount: number;
  /** Their names, when it is known that no other has lost anything. Left out: any channel may have. */
  readonly channels?: readonly string[];
  /** How many publications, when that is known. */
  readonly droppedCount?: number;
  /** Length of the gap in ms, from the last moment the subscription was known to work. Never too short. */
  readonly sinceMs: number;
  /** One sentence: what caused the gap. */
  readonly reason: string;
}

/**
 * What a broker reports to its owner. One object for the whole life of the broker. The methods must not throw;
 * publications, control messages, marks and gaps are never reported from inside a call to one of the broker's methods.
 */
export interface BrokerHandlers {
  /** A publication of a channel that is subscribed here. Publications of one channel arrive in order. */
  brokerOnPublication(publication: Publication): void;
  /** A control message (with Redis: a message to `<prefix>control`). Owned by the receiver. */
  brokerOnControl(message: Buffer): void;
  /**
   * A mark that was sent to this broker's own address, or to another that it watches. It stands in one order with all
   * publications and control messages. `epoch` is that of this moment.
   */
  brokerOnMark(address: string, id: number, epoch: number): void;
  /** The state or its reason changed. The reason is one sentence for logs and /health/ready. */
  brokerOnState(state: BrokerState, reason: string): void;
  /** After a reconnect, once everything is subscribed again: publications of that time may be missing. */
  brokerOnGap(gap: BrokerGap): void;
  /** Redis denies a command that the broker can do without. One sentence for logs, with what to do; each is given once. */
  brokerOnWarning(reason: string): void;
}

/**
 * The channels that the owner has local subscribers of: a Set, or whatever the owner keeps them in anyway. The broker keeps
 * no list and looks here instead, e.g. for what to subscribe again after a reconnect.
 */
export interface WantedChannels {
  has(channel: string): boolean;
  keys(): Iterable<string>;
}

/**
 * - `confirmed`: publications from now on arrive.
 * - `gap`: the broker is away. The channel will be subscribed when it has reconnected; until then publications are
 *   missed, and `brokerOnGap` reports when that ends.
 */
export type SubscribeOutcome = 'confirmed' | 'gap';

/**
 * Carries publications between the workers of a farm, and between hosts.
 *
 * A broker holds no subscribers, nor which channels have any: that is known to its owner (a worker's hub), in the
 * {@link WantedChannels} that it gives to the broker. The owner reports each change to the broker first, in the same tick:
 * it calls {@link subscribe} just before a channel is wanted, and {@link unsubscribe} just before it no longer is. The
 * broker itself keeps only what is on its way. Delivery is at most once and in order per channel; the publisher's own worker
 * gets its publications the same way as all others.
 *
 * Channel names are 1 to 1,024 bytes of UTF-8 ({@link MAX_CHANNEL_BYTES}); anything else is rejected with
 * `BROKER_INVALID_CHANNEL`.
 */
export interface Broker {
  readonly state: BrokerState;
  /** Why the broker is in this state, in one sentence. Never contains a password. */
  readonly stateReason: string;
  /** What the workers know of the channels together. It starts and stops with the broker. */
  readonly store: ChannelStore;
  /**
   * Counts from 1, and changes whenever publications or marks may have been missed: while it stays the same, everything that
   * was sent to what is confirmed here has arrived, or will.
   */
  readonly epoch: number;
  /**
   * Who puts what is published in one order: two brokers with the same one have the same order before them. Undefined while
   * the broker is not ready, and where that is not known: a Redis that does not say who it is, or that refuses marks.
   */
  readonly server: string | undefined;
  /** Where marks for this broker are sent. Nobody else's, and the same as long as the broker lives. */
  readonly markAddress: string;

  /**
   * Connects. Resolves when ready or after the first failed attempt, whichever is first (the broker goes on
   * trying for ever); never rejects for an absent server. A second call returns the same promise.
   */
  start(): Promise<void>;

  /**
   * Publishes bytes, in an envelope when they have attributes, and raw otherwise (see {@link wrapPublication}). The payload is
   * copied or written before this returns: the caller keeps it.
   * Resolves when the publication has its place in the order of its channel: a publication that is sent afterwards,
   * through any broker, arrives after it. That says nothing about its receivers.
   *
   * Rejects with a BrokerError:
   * - `BROKER_UNAVAILABLE`: away or stopped; nothing was sent. Fails at once.
   * - `BROKER_OUTCOME_UNKNOWN`: the connection broke, or the server or exchange went silent or was not awaited any
   *   more (`stop`), with the publication under way.
   * - `BROKER_OVERLOADED`: too many bytes are under way already; nothing was sent.
   * - `BROKER_REFUSED`: the server answered with an error.
   * - `BROKER_INVALID_CHANNEL`: nothing was sent.
   */
  publish(channel: string, payload: Uint8Array, attributes?: PublicationAttributes): Promise<PublishResult>;

  /**
   * Sends a control message to every worker, this one included: with Redis of all farms on the same prefix. The message is
   * copied or written before this returns. Resolves and rejects as {@link publish}.
   */
  control(message: Uint8Array): Promise<void>;

  /**
   * Hears what is sent to another broker's address, too, until the returned function is called, across reconnects. Resolves
   * when that is confirmed. Rejects with a BrokerError: `BROKER_UNAVAILABLE`, `BROKER_REFUSED`, or `BROKER_INVALID_CHANNEL` for
   * what is no address of this broker's kind and prefix.
   */
  watchMarks(address: string): Promise<() => void>;

  /**
   * Sends a mark to all who hear the address: it comes behind everything that was published here before, and, wherever it is
   * heard, at the same place in the order of all publications. `id` is an integer from 0 to 2^53 - 1.
   *
   * Resolves when it has its place. Rejects as {@link publish}, and with `BROKER_REFUSED` when one who hears the address
   * cannot be given it in order; whoever has heard it nonetheless must take no notice of it.
   */
  mark(address: string, id: number): Promise<void>;

  /**
   * A channel is about to be wanted, or is already and another caller must know when it arrives. Resolves when the
   * subscription is confirmed, or at once with `gap` while the broker is away. Calls of one tick travel together, and those
   * for a channel that is on its way wait for the same answer.
   *
   * Rejects with `BROKER_SUBSCRIBE_TIMEOUT` when connected but not confirmed within `subscribeTimeoutMs` of the first call
   * that waits, `BROKER_REFUSED` when the server refuses, `BROKER_UNAVAILABLE` when the broker is stopped, and
   * `BROKER_INVALID_CHANNEL`. A channel that no other subscriber wants is then unsubscribed like any other.
   */
  subscribe(channel: string): Promise<SubscribeOutcome>;

  /** Whether publications of the channel arrive now. Synchronous, O(1): the fast path before `subscribe`. */
  isConfirmed(channel: string): boolean;

  /**
   * The last local subscriber leaves. Nothing of the channel is delivered from here on; the subscription
   * itself lingers for `unsubscribeLingerMs`, and a `subscribe` in that time is confirmed at once. It has no
   * effect for a channel that is not wanted.
   */
  unsubscribe(channel: string): void;

  /**
   * Stops reading, and reads on, for an owner that is behind. Nothing is lost by that: publications wait at their
   * sender, and so does everything else that arrives the same way. Of all channels, and not for long: a link fills up, and Redis
   * ends a subscriber for which too much waits. So the owner reads on after a fraction of a second. A connection that is
   * renewed is read. No effect after `stop`.
   */
  setReading(isReading: boolean): void;

  /**
   * Ends the broker: waits a moment for publishes under way, then closes its connections and rejects what
   * is pending. Calling it twice is safe. No handler is called after `brokerOnState('stopped', …)`.
   */
  stop(): Promise<void>;
}
