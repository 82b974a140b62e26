import { BrokerError, type ChannelSnapshot, type Publication } from '@roost/broker';
import { snapshotAfter } from './channel-changes.ts';

/** How often at most a question is asked, when what was published meanwhile may have been missed. */
const MAX_TRIES = 3;
/** Most changes of a channel that are kept for those who ask. Beyond, they ask again. */
const MAX_CHANGES = 1024;

/** Somebody who asks what is known of a channel. */
interface Inquiry {
  /** Changes from this one on count: how many there had been when the question was asked. */
  from: number;
  /** Something may have been missed since: the answer is worth nothing. */
  isStale: boolean;
  /** Has the answer, and waits until its version has been served. */
  waiter: Waiter | undefined;
}

interface Waiter {
  readonly version: number;
  /** True: its version has been served. False: it may have been missed. */
  readonly finish: (isServed: boolean) => void;
}

/** What is asked about one channel. */
interface Asked {
  /** Oldest first. */
  readonly inquiries: Set<Inquiry>;
  /** Changes that have begun to be served since the oldest question. */
  readonly changes: Publication[];
  /** How many there were before these. */
  changesBefore: number;
}

export interface ChannelKnowledgeOptions {
  /** How long an answer waits for its version to arrive, in ms. */
  readonly timeoutMs: number;
  /** Whether publications of the channel have arrived here and are not served yet. */
  readonly isBehind: (channel: string) => boolean;
  /** Whether there are subscribers of the channel here, or somebody who is about to be one. */
  readonly isUsed: (channel: string) => boolean;
}

/**
 * What is known of channels, at the moment at which it is true here.
 *
 * A snapshot of the store has a version, and so has each change that is published (see ChannelSnapshot). All subscribers of a
 * channel in one worker stand at the same version: that of the last publication whose receivers are fixed. So whoever acts on
 * a snapshot waits until its version has been served, and has the changes applied that were served since:
 *
 * ```
 *   ┌───── something may have been missed ◄──────┐
 *   ▼                                            │
 * asked ─► answered with version v ─► waits ─────┴─► v has been served ─► the caller acts, in one go with it
 * ```
 *
 * A connection that is let in at that moment gets every later change, and none that it was told of. Only where this
 * worker does not know at which version it stands, the store is asked to publish a mark.
 */
export class ChannelKnowledge {
  readonly #options: ChannelKnowledgeOptions;
  readonly #asked = new Map<string, Asked>();
  /** At which version channels stand of which somebody here knows. */
  readonly #served = new Map<string, number>();

  constructor(options: ChannelKnowledgeOptions) {
    this.#options = options;
  }

  /**
   * Asks and acts. The channel arrives here already, and stays subscribed meanwhile. `ask` may be called again, and then
   * answers as it did. It resolves to undefined when there is nothing to act on. Rejects with what `ask` rejects with and `act`
   * throws, and with a BrokerError: `BROKER_UNAVAILABLE` when publications were missed again and again, or
   * `BROKER_SUBSCRIBE_TIMEOUT` when the version does not arrive in time.
   */
  async act<Result>(
    channel: string,
    ask: (mark: boolean) => Promise<ChannelSnapshot | undefined>,
    act: (snapshot: ChannelSnapshot) => Result,
  ): Promise<Result | undefined> {
    const asked = this.#open(channel);
    const inquiry: Inquiry = { from: 0, isStale: false, waiter: undefined };
    try {
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        this.#begin(asked, inquiry);
        const snapshot = await ask(!this.#served.has(channel));
        if (snapshot === undefined) return undefined;
        const outcome = inquiry.isStale
          ? undefined
          : this.#whenServed(channel, inquiry, snapshot.version, () => {
              const now = snapshotAfter(snapshot, asked.changes);
              this.#served.set(channel, Math.max(now.version, this.#served.get(channel) ?? 0));
              return act(now);
            });
        const done = outcome instanceof Promise ? await outcome : outcome;
        if (done !== undefined) return done.result;
      }
    } finally {
      asked.inquiries.delete(inquiry);
      this.#settle(channel, asked);
    }
    const message = `What was published to channel ${JSON.stringify(channel)} meanwhile may have been missed, again and again.`;
    throw new BrokerError('BROKER_UNAVAILABLE', message);
  }

  /** The receivers here of a publication with a version are fixed, or there are none. */
  served(publication: Publication): void {
    const { channel, version } = publication;
    const asked = this.#asked.get(channel);
    if (asked === undefined) {
      if (this.#served.has(channel)) this.#served.set(channel, version);
      return;
    }
    this.#served.set(channel, version);
    if (publication.kind !== 'mark') asked.changes.push(publication);
    for (const { waiter } of asked.inquiries)
      if (waiter !== undefined && waiter.version <= version) waiter.finish(true);
    if (asked.changes.length > MAX_CHANGES) this.missed(channel);
  }

  /** Publications of the channel may have been missed: who asks might wait for ever, or be told what is not true. */
  missed(channel: string): void {
    this.#served.delete(channel);
    const asked = this.#asked.get(channel);
    if (asked === undefined) return;
    // Nobody can use them any more.
    asked.changesBefore += asked.changes.length;
    asked.changes.length = 0;
    for (const inquiry of asked.inquiries) {
      inquiry.isStale = true;
      inquiry.waiter?.finish(false);
    }
  }

  /** As {@link missed}, of every channel. */
  missedAll(): void {
    for (const channel of this.#asked.keys()) this.missed(channel);
    this.#served.clear();
  }

  /** The channel is not subscribed any more. */
  forget(channel: string): void {
    this.missed(channel);
  }

  /** Channels of which somebody here knows, or asks. */
  get size(): number {
    return this.#served.size + this.#asked.size;
  }

  /** The result, once the version has been served; undefined when something may have been missed before. */
  #whenServed<Result>(
    channel: string,
    inquiry: Inquiry,
    version: number,
    act: () => Result,
  ): { result: Result } | Promise<{ result: Result } | undefined> {
    // Nothing has been published for so long, if ever, that there is nothing to wait for.
    if (version === 0 || version <= (this.#served.get(channel) ?? 0)) return { result: act() };
    const { timeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        // What waits here is a matter of this worker's load, and bounded: it is served, or missed.
        if (this.#options.isBehind(channel)) {
          timer.refresh();
          return;
        }
        inquiry.waiter = undefined;
        const message = `What was published to channel ${JSON.stringify(channel)} did not arrive within ${timeoutMs} ms.`;
        reject(new BrokerError('BROKER_SUBSCRIBE_TIMEOUT', message));
      }, timeoutMs);
      timer.unref();
      const finish = (isServed: boolean): void => {
        clearTimeout(timer);
        inquiry.waiter = undefined;
        if (!isServed) {
          resolve(undefined);
          return;
        }
        let result: Result;
        try {
          result = act();
        } catch (error) {
          // It is the caller's; others wait for the same version.
          reject(error instanceof Error ? error : new Error(String(error)));
          return;
        }
        resolve({ result });
      };
      inquiry.waiter = { version, finish };
    });
  }

  #open(channel: string): Asked {
    let asked = this.#asked.get(channel);
    if (asked === undefined) {
      asked = { inquiries: new Set(), changes: [], changesBefore: 0 };
      this.#asked.set(channel, asked);
    }
    return asked;
  }

  /** From here on all changes are needed for the inquiry. It is the youngest. */
  #begin(asked: Asked, inquiry: Inquiry): void {
    inquiry.from = asked.changesBefore + asked.changes.length;
    inquiry.isStale = false;
    asked.inquiries.delete(inquiry);
    asked.inquiries.add(inquiry);
    this.#trim(asked);
  }

  #settle(channel: string, asked: Asked): void {
    if (asked.inquiries.size > 0) {
      this.#trim(asked);
      return;
    }
    this.#asked.delete(channel);
    if (!this.#options.isUsed(channel)) this.#served.delete(channel);
  }

  /** Forgets the changes that nobody needs any more: what was served before a question is in its answer. */
  #trim(asked: Asked): void {
    const [oldest] = asked.inquiries;
    const unneeded = oldest === undefined ? 0 : oldest.from - asked.changesBefore;
    if (unneeded <= 0) return;
    asked.changes.splice(0, unneeded);
    asked.changesBefore += unneeded;
  }
}
