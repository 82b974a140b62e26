/** While this much more comes within a second, the wave is not over. */
const STILL_GROWING = 1.1;
/** Fewer are not a wave of handshakes. */
const MIN_OPENED = 1000;
/** While more than this share of a wave comes within a second, it is not over; a steady stream is not a wave. */
const STILL_OPENING = 1 / 1000;
/** One of many workers on few CPUs, or one that waits for the broker, opens in bursts. */
const QUIET_AFTER_OPENING_MS = 3000;

/** Memory that was discarded since the last collection: by hibernations and by half-arrived frames. */
export class DiscardWave {
  /** Of all the bytes that were ever discarded, those that a collection has freed. */
  #freedBytes = 0;
  #totalBytes = 0;
  #isGrowing = false;

  /** Bytes discarded since the last collection; 0 while more come. */
  get settledBytes(): number {
    return this.#isGrowing ? 0 : this.#totalBytes - this.#freedBytes;
  }

  get isGrowing(): boolean {
    return this.#isGrowing;
  }

  /** `totalBytes`: all that was ever discarded. Called once per second. */
  measure(totalBytes: number): void {
    const before = this.#totalBytes - this.#freedBytes;
    this.#totalBytes = totalBytes;
    this.#isGrowing = totalBytes - this.#freedBytes > before * STILL_GROWING;
  }

  /** A collection has freed what was discarded. */
  collected(): void {
    this.#freedBytes = this.#totalBytes;
  }
}

/** Connections that have opened since the last collection. */
export class OpeningWave {
  /** Connections that had opened by the last collection. */
  #settled = 0;
  #total = 0;
  /** When it last opened many. */
  #openingAt = Number.NEGATIVE_INFINITY;
  #isOpening = false;

  get isOpening(): boolean {
    return this.#isOpening;
  }

  /** Many have opened, and no more come. */
  get isOver(): boolean {
    return !this.#isOpening && this.#total - this.#settled >= MIN_OPENED;
  }

  /** `total`: all that have ever opened; `now` in ms. Called once per second. */
  measure(total: number, now: number): void {
    const opened = total - this.#total;
    this.#total = total;
    if (opened > Math.max(total - this.#settled, MIN_OPENED) * STILL_OPENING) this.#openingAt = now;
    this.#isOpening = now - this.#openingAt < QUIET_AFTER_OPENING_MS;
  }

  /** A collection has freed what the handshakes have left. */
  collected(): void {
    this.#settled = this.#total;
  }
}
