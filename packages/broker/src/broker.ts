/** A place in the history of a channel. Reserved for brokers that keep history; none does yet. */
export interface StreamPosition {
  /** Changes when the history of the channel was lost, so that an offset alone is never trusted. */
  readonly epoch: string;
  /** Counts the publications of the channel within one epoch, from 1. */
  readonly offset: number;
}

/** One message to one channel. */
export interface Publication {
  readonly channel: string;
  /** Raw bytes, owned by the receiver: a copy in separate memory, never a view of a network chunk. */
  readonly payload: Buffer;
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
 * publications, control messages and gaps are never reported from inside a call to one of the broker's methods.
 */
export interface BrokerHandlers {
  /** A publication of a channel that is subscribed here. Publications of one channel arrive in order. */
  brokerOnPublication(publication: Publication): void;
  /** A control message (with Redis: a message to `<prefix>control`). Owned by the receiver. */
  brokerOnControl(message: Buffer): void;
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

  /**
   * Connects. Resolves when ready or after the first failed attempt, whichever is first (the broker goes on
   * trying for ever); never rejects for an absent server. A second call returns the same promise.
   */
  start(): Promise<void>;

  /**
   * Publishes raw bytes. The payload is copied or written before this returns: the caller keeps it.
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
  publish(channel: string, payload: Uint8Array): Promise<PublishResult>;

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
