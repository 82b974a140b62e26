import type { Core } from '../core.ts';

/** Between two log lines about drops; the counter has them all. */
const LOG_MS = 1000;

/**
 * What becomes of publications that were dropped for want of room: they are counted, the subscribers of their channel are
 * told (`hasGap`), and the log says so once a second at the most. A flood drops thousands in a turn of the event loop, so a
 * channel's subscribers are gone through once at the end of it.
 */
export class DroppedPublications {
  readonly #core: Core;
  /** Channels whose subscribers are to be marked at the end of this turn. */
  readonly #toMark = new Set<string>();
  /** Drops since the last log line, by channel. */
  readonly #toLog = new Map<string, number>();
  #markTurn: NodeJS.Immediate | undefined;
  #logTimer: NodeJS.Timeout | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  add(channel: string, count: number): void {
    this.#core.counters.add('publications_dropped', count);
    this.#toMark.add(channel);
    this.#markTurn ??= setImmediate(() => this.#mark());
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
    clearImmediate(this.#markTurn);
    clearTimeout(this.#logTimer);
  }

  #mark(): void {
    this.#markTurn = undefined;
    for (const channel of this.#toMark) this.#core.subscriptions.markGapOf(channel);
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
    const queuedBytes = this.#core.broadcaster.queuedBytes;
    this.#core.log.warn(
      { channel, dropped, channels, queuedBytes },
      'publications dropped: broadcast queue is full',
    );
  }
}
