export interface SilenceProbeOptions {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Sends something that makes the other side speak. False: it cannot be sent now. */
  readonly send: () => boolean;
  /** The probe has not been answered. The watch is over. */
  readonly onSilent: (silentMs: number) => void;
}

/**
 * Watches a connection on which silence is normal. After `intervalMs` without a sign of life it asks for
 * one, and after `timeoutMs` more it gives up.
 *
 * It decides only after the event loop has read what had arrived, so a process that was stopped or starved
 * does not blame the other side.
 */
export class SilenceProbe {
  readonly #options: SilenceProbeOptions;
  #heardAt = 0;
  #askedAt: number | undefined;
  #isReading = true;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  constructor(options: SilenceProbeOptions) {
    this.#options = options;
  }

  /** When the last sign of life came, on the clock of `performance.now()`. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** A sign of life. */
  signOfLife(): void {
    this.#heardAt = performance.now();
  }

  /** Begins to watch, with a first sign of life now. */
  start(): void {
    this.stop();
    this.#isReading = true;
    this.signOfLife();
    this.#lookIn(this.#options.intervalMs);
  }

  /** While nothing is read, silence means nothing. An answer that is awaited then has its whole time afterwards. */
  setReading(isReading: boolean): void {
    if (isReading && !this.#isReading && this.#askedAt !== undefined) this.#askedAt = performance.now();
    this.#isReading = isReading;
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#askedAt = undefined;
  }

  #lookIn(delayMs: number): void {
    this.#timer = setTimeout(
      () => {
        this.#immediate = setImmediate(() => this.#look());
      },
      Math.max(1, delayMs),
    );
    this.#timer.unref();
  }

  #look(): void {
    const { intervalMs, timeoutMs, send, onSilent } = this.#options;
    if (!this.#isReading) {
      this.#lookIn(Math.min(timeoutMs, intervalMs));
      return;
    }
    const now = performance.now();
    const silentMs = now - this.#heardAt;
    if (this.#askedAt !== undefined && this.#heardAt < this.#askedAt) {
      const waitedMs = now - this.#askedAt;
      if (waitedMs >= timeoutMs) onSilent(silentMs);
      else this.#lookIn(Math.min(timeoutMs - waitedMs, intervalMs));
      return;
    }
    this.#askedAt = undefined;
    if (silentMs < intervalMs) {
      this.#lookIn(intervalMs - silentMs);
      return;
    }
    if (send()) this.#askedAt = now;
    this.#lookIn(Math.min(timeoutMs, intervalMs));
  }
}
