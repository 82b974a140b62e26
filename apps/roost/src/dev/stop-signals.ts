/** Ctrl-C under npm arrives twice: from the terminal, and passed on by npm. Within this time it is one. */
const SAME_INTERRUPT_MS = 250;

/** The signals that end `roost dev`. Listens from its construction; `stop` gives them back to Node. */
export class StopSignals {
  #signal: NodeJS.Signals | undefined;
  #firstAt = 0;
  #announceFirst!: () => void;
  #announceSecond!: () => void;
  readonly first: Promise<undefined>;
  readonly second: Promise<undefined>;

  constructor() {
    this.first = new Promise((resolve) => {
      this.#announceFirst = () => resolve(undefined);
    });
    this.second = new Promise((resolve) => {
      this.#announceSecond = () => resolve(undefined);
    });
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
  }

  /** What the farm is to be ended by; undefined before the first signal. */
  get signal(): NodeJS.Signals | undefined {
    return this.#signal;
  }

  /** As the first signal, when no process is left to send one. */
  parentGone(): void {
    this.#onSignal('SIGTERM');
  }

  stop(): void {
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    if (this.#signal === undefined) {
      this.#firstAt = now;
      // The terminal sends the SIGINT to the farm as well, which takes a SIGTERM right after it for a second signal.
      this.#signal = signal === 'SIGINT' ? 'SIGINT' : 'SIGTERM';
      this.#announceFirst();
    } else if (signal !== 'SIGINT' || now - this.#firstAt >= SAME_INTERRUPT_MS) this.#announceSecond();
  };
}

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
