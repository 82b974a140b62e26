import type { SubscribeOutcome, WantedChannels } from './broker.ts';
import { invalidChannel } from './channel-name.ts';
import { DeadlineQueue } from './deadline-queue.ts';
import { BrokerError } from './errors.ts';

/** Default of `subscribeTimeoutMs`. */
export const SUBSCRIBE_TIMEOUT_MS = 5_000;
/** Default of `unsubscribeLingerMs`. */
export const UNSUBSCRIBE_LINGER_MS = 2_000;

/** Requests that may wait for their answer: 4 keep a connection busy, and leave time for other events. */
const MAX_OUTSTANDING_REQUESTS = 4;

/** How long a wire that could not take a request is left alone, in ms. */
const RETRY_SEND_MS = 20;

const CONFIRMED = Promise.resolve<SubscribeOutcome>('confirmed');
const GAP = Promise.resolve<SubscribeOutcome>('gap');

/** The way to the carrier of the subscriptions. Names at most `maxNames` channels in one request. */
export interface SubscriptionWire {
  readonly maxNames: number;
  /**
   * False: not now; it will be tried again. Each request taken leads to `confirm` or `refuse` for each of its
   * channels and one `answered`, in a later tick.
   */
  requestSubscribe(channels: readonly string[]): boolean;
  /** False: not now; it will be tried again. Has no answer. Ordered with the requests to subscribe. */
  requestUnsubscribe(channels: readonly string[]): boolean;
  /** Every channel that was wanted when the wire came up is confirmed (or refused, or no longer wanted). */
  wireOnRestored(restoredCount: number): void;
}

export interface SubscriptionTableOptions {
  /** Of the broker's owner. */
  readonly wanted: WantedChannels;
  readonly subscribeTimeoutMs: number;
  readonly unsubscribeLingerMs: number;
}

/** One promise for all calls that wait for a channel. */
interface Waiter {
  readonly promise: Promise<SubscribeOutcome>;
  readonly resolve: (outcome: SubscribeOutcome) => void;
  readonly reject: (error: BrokerError) => void;
}

/** A channel on its way in or out; its states are described at {@link SubscriptionTable}. */
interface Entry {
  readonly channel: string;
  state: 'queued' | 'asked' | 'refused' | 'lingering';
  /** It was wanted when the wire came up, and counts toward `wireOnRestored`. */
  isRestoring: boolean;
  waiter: Waiter | undefined;
}

/**
 * Subscriptions on their way, in or out, for one broker. Which channels are wanted its owner knows; a wanted one that has
 * no entry here is confirmed, while the wire is up. So a channel that rests, as nearly all do nearly always, costs nothing.
 *
 * ```
 *        subscribe, or up()      a request is sent       confirm()
 *  absent ────────────► queued ────────────► asked ─┬────────────► absent, when it is wanted: confirmed
 *                          ▲                        ├────────────► lingering, when it no longer is
 *                          │     subscribe          │ refuse()
 *                          └─────────────── refused ┘
 *
 *  confirmed ── unsubscribe ──► lingering ─┬─ subscribe ──► confirmed again, without asking
 *                                          └─ time over ──► absent, and its name among those to unsubscribe
 * ```
 *
 * - `queued` waits for a request. Left before that, it is forgotten, unless a call waits for an answer.
 * - `asked` waits for the answer. There is one request at most for a channel, and what happens to it in that time shows in
 *   what is wanted when the answer arrives. A call that subscribes it again, queued or asked, waits for the same answer.
 * - `refused` was refused while others rely on it: it must not pass for confirmed, and the next `subscribe` asks again.
 * - `lingering` is subscribed and no longer wanted.
 *
 * `down()` forgets everything and resolves waiting calls to `gap`; `up()` asks for what is wanted then. While the wire is down
 * `subscribe` and `unsubscribe` only concern what is wanted, so there is nothing to do.
 *
 * Requests of one tick travel together, and at most a few are under way at once, so that restoring 100,000 channels neither
 * blocks the loop nor makes one giant request. Bounded by what the owner wants, plus what lingers.
 */
export class SubscriptionTable {
  readonly #wire: SubscriptionWire;
  readonly #wanted: WantedChannels;
  readonly #subscribeTimeoutMs: number;
  readonly #entries = new Map<string, Entry>();
  readonly #queued = new Set<Entry>();
  /** To be unsubscribed. One that is wanted again by then has an entry as well. */
  readonly #leaving = new Set<string>();
  readonly #lingering: DeadlineQueue<Entry>;
  readonly #waiting: DeadlineQueue<Entry>;
  #isUp = false;
  #isStopped = false;
  #outstandingRequestCount = 0;
  #restoringCount = 0;
  #restoredCount = 0;
  #flushTurn: NodeJS.Immediate | undefined;
  #retryTimer: NodeJS.Timeout | undefined;

  constructor(wire: SubscriptionWire, options: SubscriptionTableOptions) {
    this.#wire = wire;
    this.#wanted = options.wanted;
    this.#subscribeTimeoutMs = options.subscribeTimeoutMs;
    this.#lingering = new DeadlineQueue(options.unsubscribeLingerMs, (entry) => this.#leave(entry));
    this.#waiting = new DeadlineQueue(options.subscribeTimeoutMs, (entry) => this.#timeOut(entry));
  }

  /** Channels on their way. */
  get size(): number {
    return this.#entries.size;
  }

  isConfirmed(channel: string): boolean {
    return this.#isUp && !this.#entries.has(channel) && this.#wanted.has(channel);
  }

  /** See Broker.subscribe. */
  subscribe(channel: string): Promise<SubscribeOutcome> {
    const invalid = invalidChannel(channel);
    if (invalid !== undefined) return Promise.reject(invalid);
    if (this.#isStopped) return Promise.reject(stopped(channel));
    if (!this.#isUp) return GAP;
    let entry = this.#entries.get(channel);
    if (entry === undefined) {
      if (this.#wanted.has(channel)) return CONFIRMED;
      entry = this.#enter(channel, 'queued');
      this.#queue(entry);
    } else if (entry.state === 'lingering') {
      this.#forget(entry);
      return CONFIRMED;
    } else if (entry.state === 'refused') {
      this.#queue(entry);
    }
    entry.waiter ??= this.#makeWaiter(entry);
    return entry.waiter.promise;
  }

  /** See Broker.unsubscribe. */
  unsubscribe(channel: string): void {
    if (!this.#isUp || !this.#wanted.has(channel)) return;
    const entry = this.#entries.get(channel);
    if (entry === undefined) this.#lingering.add(this.#enter(channel, 'lingering'));
    else if (entry.state === 'refused' || isIdle(entry)) this.#forget(entry);
  }

  /** The wire can take requests; what is wanted is asked for. */
  up(): void {
    this.#isUp = true;
    this.#restoredCount = 0;
    for (const channel of this.#wanted.keys()) {
      const entry = this.#enter(channel, 'queued');
      entry.isRestoring = true;
      this.#queue(entry);
    }
    this.#restoringCount = this.#queued.size;
    if (this.#restoringCount === 0) this.#wire.wireOnRestored(0);
  }

  /** The wire is gone and everything confirmed with it. What is wanted will be asked for when it is back. */
  down(): void {
    for (const entry of this.#entries.values()) this.#answer(entry, 'gap');
    this.#clear();
  }

  /** These channels are subscribed. */
  confirm(channels: readonly string[]): void {
    for (const channel of channels) {
      const entry = this.#entries.get(channel);
      if (entry?.state !== 'asked') continue;
      this.#answer(entry, 'confirmed');
      const { isRestoring } = entry;
      if (this.#wanted.has(channel)) {
        this.#entries.delete(channel);
      } else {
        entry.state = 'lingering';
        entry.isRestoring = false;
        this.#lingering.add(entry);
      }
      if (isRestoring) this.#restored(1);
    }
  }

  /** This channel is refused: waiting calls reject with the reason. Returns whether others rely on it that do not wait. */
  refuse(channel: string, error: BrokerError): boolean {
    const entry = this.#entries.get(channel);
    if (entry?.state !== 'asked') return false;
    this.#answer(entry, error);
    const { isRestoring } = entry;
    const isWanted = this.#wanted.has(channel);
    if (isWanted) {
      entry.state = 'refused';
      entry.isRestoring = false;
    } else {
      this.#entries.delete(channel);
    }
    if (isRestoring) this.#restored(0);
    return isRestoring && isWanted;
  }

  /** A request to subscribe has been answered in full. */
  answered(): void {
    this.#outstandingRequestCount -= 1;
    if (this.#queued.size > 0) this.#flushSoon();
  }

  /** Refuses whatever waits and everything after. */
  stop(): void {
    this.#isStopped = true;
    for (const entry of this.#entries.values()) this.#answer(entry, stopped(entry.channel));
    this.#clear();
  }

  #clear(): void {
    this.#isUp = false;
    this.#outstandingRequestCount = 0;
    this.#entries.clear();
    this.#queued.clear();
    this.#leaving.clear();
    this.#lingering.clear();
    this.#waiting.clear();
    clearImmediate(this.#flushTurn);
    clearTimeout(this.#retryTimer);
    this.#flushTurn = undefined;
    this.#retryTimer = undefined;
  }

  #enter(channel: string, state: Entry['state']): Entry {
    const entry: Entry = { channel, state, isRestoring: false, waiter: undefined };
    this.#entries.set(channel, entry);
    return entry;
  }

  #queue(entry: Entry): void {
    entry.state = 'queued';
    this.#queued.add(entry);
    this.#flushSoon();
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry.channel);
    this.#queued.delete(entry);
    this.#lingering.remove(entry);
  }

  #makeWaiter(entry: Entry): Waiter {
    this.#waiting.add(entry);
    let resolve!: Waiter['resolve'];
    let reject!: Waiter['reject'];
    const promise = new Promise<SubscribeOutcome>((onResolve, onReject) => {
      resolve = onResolve;
      reject = onReject;
    });
    return { promise, resolve, reject };
  }

  #answer(entry: Entry, outcome: SubscribeOutcome | BrokerError): void {
    const { waiter } = entry;
    if (waiter === undefined) return;
    entry.waiter = undefined;
    this.#waiting.remove(entry);
    if (outcome instanceof BrokerError) waiter.reject(outcome);
    else waiter.resolve(outcome);
  }

  #timeOut(entry: Entry): void {
    const message = `Subscribing to channel ${JSON.stringify(entry.channel)} was not confirmed within ${this.#subscribeTimeoutMs} ms; the broker is connected but slow, so try again.`;
    this.#answer(entry, new BrokerError('BROKER_SUBSCRIBE_TIMEOUT', message));
    if (isIdle(entry) && !this.#wanted.has(entry.channel)) this.#forget(entry);
  }

  #leave(entry: Entry): void {
    this.#forget(entry);
    this.#leaving.add(entry.channel);
    this.#flushSoon();
  }

  #restored(restoredCount: 0 | 1): void {
    this.#restoringCount -= 1;
    this.#restoredCount += restoredCount;
    if (this.#restoringCount === 0) this.#wire.wireOnRestored(this.#restoredCount);
  }

  #flushSoon(): void {
    if (this.#flushTurn !== undefined || this.#retryTimer !== undefined) return;
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

/** Whether an unwanted entry can be dropped: others have been asked, or a call waits for the answer. */
function isIdle({ state, waiter, isRestoring }: Entry): boolean {
  return state === 'queued' && waiter === undefined && !isRestoring;
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
