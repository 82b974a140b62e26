import type { Farm, Log, LogFields } from '@roost/farm';

/** Ctrl-C under npm arrives twice: from the terminal, and passed on by npm. Within this time it is one. */
const SAME_INTERRUPT_MS = 250;

/**
 * Two-stage shutdown. The first SIGTERM or SIGINT drains the farm, the second ends it; SIGHUP means to re-read what is
 * on disk, which `reread` does. Listens from its construction, so that no signal kills a process that is only just starting.
 */
export class ShutdownSignals {
  readonly #log: Log;
  readonly #reread: (farm: Farm) => void;
  #farm: Farm | undefined;
  #firstAt: number | undefined;
  #isForced = false;
  #announceFirst: (() => void) | undefined;
  /** Resolves at the first signal. */
  readonly first: Promise<undefined>;

  constructor(log: Log, reread: (farm: Farm) => void) {
    this.#log = log;
    this.#reread = reread;
    this.first = new Promise((resolve) => {
      this.#announceFirst = () => resolve(undefined);
    });
    process.on('SIGINT', this.#onSignal);
    process.on('SIGTERM', this.#onSignal);
    process.on('SIGHUP', this.#onHangUp);
  }

  /** Whether a second signal has ended the farm. */
  get isForced(): boolean {
    return this.#isForced;
  }

  /** From now on signals mean this farm; one that came earlier does, too. */
  govern(farm: Farm): void {
    this.#farm = farm;
    if (this.#firstAt !== undefined) this.#drain(farm);
  }

  /** Gives the signals back to Node. */
  stop(): void {
    process.off('SIGINT', this.#onSignal);
    process.off('SIGTERM', this.#onSignal);
    process.off('SIGHUP', this.#onHangUp);
  }

  /** As the first signal, when no process is left to send one. Does nothing after one. */
  parentGone(): void {
    if (this.#firstAt === undefined) this.#begin({}, 'parent process ended: draining');
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    if (this.#firstAt === undefined) {
      this.#begin({ signal }, 'signal received: draining, a second one forces');
      return;
    }
    if (signal === 'SIGINT' && now - this.#firstAt < SAME_INTERRUPT_MS) return;
    if (this.#isForced || this.#farm === undefined) return;
    this.#isForced = true;
    this.#log.warn({ signal }, 'second signal received: stopping now');
    this.#farm.stop().catch((error: unknown) => this.#log.error({ err: error }, 'stop failed'));
  };

  readonly #onHangUp = (): void => {
    // A farm that is only starting has just read everything.
    if (this.#farm !== undefined) this.#reread(this.#farm);
  };

  #begin(fields: LogFields, message: string): void {
    this.#firstAt = performance.now();
    this.#log.info(fields, message);
    this.#announceFirst?.();
    if (this.#farm !== undefined) this.#drain(this.#farm);
  }

  #drain(farm: Farm): void {
    // farm.stopped, which the server waits for, reports how it ends.
    farm.drain().catch((error: unknown) => this.#log.error({ err: error }, 'drain failed'));
  }
}
