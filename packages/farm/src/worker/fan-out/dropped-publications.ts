import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import type { Subscriptions } from './subscriptions.ts';

/** Between two log lines about drops; the counter has them all. */
const LOG_MS = 1000;

export interface DroppedPublicationsParts {
  readonly counters: Counters;
  readonly log: Log;
  readonly subscriptions: Pick<Subscriptions, 'markGapOf'>;
  /** What waits now, for the log. */
  readonly queuedBytes: () => number;
}

/**
 * What becomes of publications that were dropped for want of room: they are counted, the subscribers of their channel are
 * marked (`hasGap`), and they are logged at most once per second. A flood drops thousands in a tick of the event loop, so a
 * channel's subscribers are marked once at the end of it.
 */
export class DroppedPublications {
  readonly #parts: DroppedPublicationsParts;
  /** Channels whose subscribers are to be marked at the end of this tick. */
  readonly #toMark = new Set<string>();
  /** Drops since the last log line, by channel. */
  readonly #toLog = new Map<string, number>();
  #markTick: NodeJS.Immediate | undefined;
  #logTimer: NodeJS.Timeout | undefined;

  constructor(parts: DroppedPublicationsParts) {
    this.#parts = parts;
  }

  add(channel: string, count: number): void {
    this.#parts.counters.add('publications_dropped', count);
    this.#toMark.add(channel);
    this.#markTick ??= setImmediate(() => this.mark());
    this.#toLog.set(channel, (this.#toLog.get(channel) ?? 0) + count);
    if (this.#logTimer !== undefined) return;
    this.#log();
    this.#logTimer = setTimeout(() => {
      this.#logTimer = undefined;
      if (this.#toLog.size > 0) this.#log();
    }, LOG_MS);
    this.#logTimer.unref();
  }

  stop(): void {
    clearImmediate(this.#markTick);
    clearTimeout(this.#logTimer);
  }

  /** Marks the subscribers now. */
  mark(): void {
    clearImmediate(this.#markTick);
    this.#markTick = undefined;
    for (const channel of this.#toMark) this.#parts.subscriptions.markGapOf(channel);
    this.#toMark.clear();
  }

  /** The channel that lost most stands for all of them. */
  #log(): void {
    let [channel, most, dropped] = ['', 0, 0];
    for (const [name, count] of this.#toLog) {
      dropped += count;
      if (count <= most) continue;
      channel = name;
      most = count;
    }
    const channels = this.#toLog.size;
    this.#toLog.clear();
    const queuedBytes = this.#parts.queuedBytes();
    this.#parts.log.warn(
      { channel, dropped, channels, queuedBytes },
      'publications dropped: broadcast queue is full',
    );
  }
}
