import type { SubscribeOutcome } from './broker.ts';
import { invalidChannel } from './channel-name.ts';
import { DeadlineQueue } from './deadline-queue.ts';
import { BrokerError } from './errors.ts';

/** Default of `subscribeTimeoutMs`. */
export const SUBSCRIBE_TIMEOUT_MS = 5_000;
/** Default of `unsubscribeLingerMs`. */
export const UNSUBSCRIBE_LINGER_MS = 2_000;

/** Requests that may wait for their answer: 4 keep a connection busy, and leave the event loop its turns. */
const MAX_OUTSTANDING_REQUESTS = 4;

/** How long a wire that could not take a request is left alone, in ms. */
const RETRY_SEND_MS = 20;

/** The way to whoever carries the subscriptions. Names at most `maxNames` channels in one request. */
export interface SubscriptionWire {
  readonly maxNames: number;
  /**
   * False: not now; it will be tried again. Each request taken leads to `confirm` or `refuse` for each of its
   * channels and one `answered`, in a later turn of the event loop.
   */
  requestSubscribe(channels: readonly string[]): boolean;
  /** False: not now; it will be tried again. Has no answer. Ordered with the requests to subscribe. */
  requestUnsubscribe(channels: readonly string[]): boolean;
  /** Every channel that was wanted when the wire came up is confirmed (or refused, or no longer wanted). */
  wireOnRestored(restoredCount: number): void;
}

export interface SubscriptionTableOptions {
  readonly subscribeTimeoutMs: number;
  readonly unsubscribeLingerMs: number;
}

interface Waiter {
  readonly entry: Entry;
  resolve(outcome: SubscribeOutcome): void;
  reject(error: BrokerError): void;
}

/**
 * A channel on its way in or out:
 * - `queued`: stands in `#queued` for a request (or waits for the wire to come up).
 * - `asked`: a request is under way.
 * - `confirmed`: subscribed, but no longer wanted: it lingers.
 *
 * One that is wanted and confirmed has no entry: its name in `#settled` says everything.
 */
interface Entry {
  readonly channel: string;
  state: 'queued' | 'asked' | 'confirmed';
  /** The owner wants it. False: it lingers. */
  wanted: boolean;
  /** Some `subscribe` was answered, so an owner counts on it even when later ones time out. */
  held: boolean;
  /** Counts toward `wireOnRestored`. */
  restoring: boolean;
  waiters: Set<Waiter> | undefined;
}

type EntryState = Entry['state'];

/**
 * Which channels are wanted and which are confirmed, for one broker.
 *
 * The owner's calls (`subscribe`, `unsubscribe`) say what is wanted; the wire's (`up`, `down`, `confirm`,
 * `refuse`, `answered`) say what is. Requests of one tick travel together, and at most a few are under way at once, so
 * that restoring 100,000 channels neither blocks the loop nor makes one giant request. There is at most one
 * unanswered request per channel.
 *
 * Bounded by what the owner wants, plus what lingers.
 */
export class SubscriptionTable {
  readonly #wire: SubscriptionWire;
  readonly #options: SubscriptionTableOptions;
  readonly #entries = new Map<string, Entry>();
  /** Channels that are wanted and confirmed: nearly all, nearly always. */
  readonly #settled = new Set<string>();
  readonly #queued = new Set<Entry>();
  readonly #leaving = new Set<string>();
  readonly #lingering: DeadlineQueue<Entry>;
  readonly #waiting: DeadlineQueue<Waiter>;
  #isUp = false;
  #isStopped = false;
  #outstandingRequestCount = 0;
  #restoringCount = 0;
  #restoredCount = 0;
  #isRestoring = false;
  #flushTurn: NodeJS.Immediate | undefined;
  #retryTimer: NodeJS.Timeout | undefined;

  constructor(wire: SubscriptionWire, options: SubscriptionTableOptions) {
    this.#wire = wire;
    this.#options = options;
    this.#lingering = new DeadlineQueue(options.unsubscribeLingerMs, (entry) => this.#lingerOver(entry));
    this.#waiting = new DeadlineQueue(options.subscribeTimeoutMs, (waiter) => this.#timeOut(waiter));
  }

  /** Channels that are wanted, lingering or being asked for. */
  get size(): number {
    return this.#settled.size + this.#entries.size;
  }

  isConfirmed(channel: string): boolean {
    return this.#settled.has(channel);
  }

  /** Whether a publication of the channel is for somebody here. */
  isWanted(channel: string): boolean {
    return this.#settled.has(channel) || this.#entries.get(channel)?.wanted === true;
  }

  /** See Broker.subscribe. */
  subscribe(channel: string): Promise<SubscribeOutcome> {
    const invalid = invalidChannel(channel);
    if (invalid !== undefined) return Promise.reject(invalid);
    if (this.#isStopped) return Promise.reject(stopped(channel));
    if (this.#settled.has(channel)) return Promise.resolve('confirmed');

    const entry = this.#entries.get(channel) ?? this.#add(channel);
    entry.wanted = true;
    this.#lingering.remove(entry);
    if (entry.state === 'confirmed') {
      this.#settle(entry);
      return Promise.resolve('confirmed');
    }
    if (!this.#isUp) {
      entry.held = true;
      return Promise.resolve('gap');
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { entry, resolve, reject };
      entry.waiters ??= new Set();
      entry.waiters.add(waiter);
      this.#waiting.add(waiter);
    });
  }

  /** See Broker.unsubscribe. */
  unsubscribe(channel: string): void {
    const entry = this.#settled.delete(channel)
      ? this.#enter(channel, 'confirmed')
      : this.#entries.get(channel);
    if (entry === undefined || !entry.wanted) return;
    entry.wanted = false;
    entry.held = false;
    this.#lingering.add(entry);
  }

  /** The wire can take requests; what is wanted is asked for. */
  up(): void {
    this.#isUp = true;
    this.#restoredCount = 0;
    for (const entry of this.#queued) {
      if (entry.wanted) entry.restoring = true;
      else this.#forget(entry);
    }
    this.#restoringCount = this.#queued.size;
    this.#isRestoring = true;
    if (this.#restoringCount === 0) this.#restored();
    else this.#flushSoon();
  }

  /** The wire is gone and everything confirmed with it. What is wanted will be asked for when it is back. */
  down(): void {
    this.#isUp = false;
    this.#isRestoring = false;
    this.#outstandingRequestCount = 0;
    this.#leaving.clear();
    this.#stopFlushing();
    for (const entry of this.#entries.values()) {
      if (entry.wanted) {
        entry.state = 'queued';
        entry.restoring = false;
        this.#queued.add(entry);
        this.#answer(entry, 'gap');
      } else {
        this.#answer(entry, 'gap');
        this.#forget(entry);
      }
    }
    for (const channel of this.#settled) {
      const entry = this.#enter(channel, 'queued');
      entry.held = true;
      this.#queued.add(entry);
    }
    this.#settled.clear();
  }

  /** These channels are subscribed. */
  confirm(channels: readonly string[]): void {
    for (const channel of channels) {
      const entry = this.#entries.get(channel);
      if (entry === undefined || entry.state !== 'asked') continue;
      entry.state = 'confirmed';
      this.#answer(entry, 'confirmed');
      // Its time may have run out while it was asked for; a confirmed one can leave.
      if (entry.wanted) this.#settle(entry);
      else this.#lingering.add(entry);
      this.#restore(entry, 1);
    }
  }

  /**
   * This channel is refused for good: who waits is told why, and the channel is forgotten. Returns whether
   * it had been subscribed before, so that somebody counts on it.
   */
  refuse(channel: string, error: BrokerError): boolean {
    const entry = this.#entries.get(channel);
    if (entry === undefined || entry.state !== 'asked') return false;
    const wasHeld = entry.held;
    this.#answer(entry, error);
    this.#forget(entry);
    return wasHeld;
  }

  /** A request to subscribe has been answered in full. */
  answered(): void {
    this.#outstandingRequestCount -= 1;
    if (this.#queued.size > 0) this.#flushSoon();
  }

  /** Refuses whatever waits and everything after. */
  stop(): void {
    this.#isStopped = true;
    this.#isUp = false;
    this.#stopFlushing();
    for (const entry of this.#entries.values()) this.#answer(entry, stopped(entry.channel));
    this.#entries.clear();
    this.#settled.clear();
    this.#queued.clear();
    this.#leaving.clear();
    this.#lingering.clear();
    this.#waiting.clear();
  }

  #add(channel: string): Entry {
    const entry = this.#enter(channel, 'queued');
    this.#queued.add(entry);
    if (this.#isUp) this.#flushSoon();
    return entry;
  }

  #enter(channel: string, state: EntryState): Entry {
    const entry: Entry = { channel, state, wanted: true, held: false, restoring: false, waiters: undefined };
    this.#entries.set(channel, entry);
    return entry;
  }

  /** It is wanted and confirmed. */
  #settle({ channel }: Entry): void {
    this.#entries.delete(channel);
    this.#settled.add(channel);
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry.channel);
    this.#queued.delete(entry);
    this.#lingering.remove(entry);
    this.#restore(entry, 0);
  }

  #answer(entry: Entry, outcome: SubscribeOutcome | BrokerError): void {
    if (entry.waiters === undefined) return;
    for (const waiter of entry.waiters) {
      this.#waiting.remove(waiter);
      if (outcome instanceof BrokerError) waiter.reject(outcome);
      else waiter.resolve(outcome);
    }
    entry.waiters = undefined;
    if (entry.wanted && !(outcome instanceof BrokerError)) entry.held = true;
  }

  #timeOut(waiter: Waiter): void {
    const { entry } = waiter;
    entry.waiters?.delete(waiter);
    if (entry.waiters?.size === 0) entry.waiters = undefined;
    waiter.reject(
      new BrokerError(
        'BROKER_SUBSCRIBE_TIMEOUT',
        `Subscribing to channel ${JSON.stringify(entry.channel)} was not confirmed within ${this.#options.subscribeTimeoutMs} ms; the broker is connected but slow, so try again.`,
      ),
    );
    if (entry.waiters === undefined && !entry.held) this.unsubscribe(entry.channel);
  }

  #lingerOver(entry: Entry): void {
    if (entry.state === 'asked') return;
    if (entry.state === 'confirmed' && this.#isUp) {
      this.#leaving.add(entry.channel);
      this.#flushSoon();
    }
    this.#answer(entry, new BrokerError('BROKER_UNAVAILABLE', unsubscribedMeanwhile(entry.channel)));
    this.#forget(entry);
  }

  #restore(entry: Entry, restoredCount: 0 | 1): void {
    if (!entry.restoring) return;
    entry.restoring = false;
    if (!this.#isRestoring) return;
    this.#restoringCount -= 1;
    this.#restoredCount += restoredCount;
    if (this.#restoringCount === 0) this.#restored();
  }

  #restored(): void {
    this.#isRestoring = false;
    this.#wire.wireOnRestored(this.#restoredCount);
  }

  #flushSoon(): void {
    if (!this.#isUp || this.#flushTurn !== undefined || this.#retryTimer !== undefined) return;
    this.#flushTurn = setImmediate(() => {
      this.#flushTurn = undefined;
      if (this.#flush()) return;
      this.#retryTimer = setTimeout(() => {
        this.#retryTimer = undefined;
        this.#flushSoon();
      }, RETRY_SEND_MS);
      this.#retryTimer.unref();
    });
  }

  #stopFlushing(): void {
    clearImmediate(this.#flushTurn);
    clearTimeout(this.#retryTimer);
    this.#flushTurn = undefined;
    this.#retryTimer = undefined;
  }

  /** False when the wire could not take a request. */
  #flush(): boolean {
    // Leaving first: a channel that left and is wanted again stands in both sets, and must end subscribed.
    while (this.#leaving.size > 0) {
      const channels = take(this.#leaving, this.#wire.maxNames);
      if (!this.#wire.requestUnsubscribe(channels)) return false;
      for (const channel of channels) this.#leaving.delete(channel);
    }
    while (this.#queued.size > 0 && this.#outstandingRequestCount < MAX_OUTSTANDING_REQUESTS) {
      const entries = take(this.#queued, this.#wire.maxNames);
      if (!this.#wire.requestSubscribe(entries.map((entry) => entry.channel))) return false;
      this.#outstandingRequestCount += 1;
      for (const entry of entries) {
        this.#queued.delete(entry);
        entry.state = 'asked';
      }
    }
    return true;
  }
}

function take<Item>(items: Set<Item>, maxCount: number): Item[] {
  const taken: Item[] = [];
  for (const item of items) {
    if (taken.length === maxCount) break;
    taken.push(item);
  }
  return taken;
}

function stopped(channel: string): BrokerError {
  return new BrokerError(
    'BROKER_UNAVAILABLE',
    `Channel ${JSON.stringify(channel)} cannot be subscribed: the broker is stopped.`,
  );
}

function unsubscribedMeanwhile(channel: string): string {
  return `Channel ${JSON.stringify(channel)} was unsubscribed before its subscription was confirmed.`;
}
