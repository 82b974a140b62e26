/** After a failure no load starts for this long. */
const RETRY_MS = 2000;

export interface ReloadOptions<Value> {
  readonly load: () => Promise<string>;
  /** Not called when the text is the one it was. */
  readonly parse: (text: string) => Promise<Value>;
  /** Older than this, it is loaded again while the old one is still given out. */
  readonly refreshAfterMs: number;
  /** Older than this, calls wait for the new one. */
  readonly waitAfterMs: number;
  /** Older than this, it is not given out any more although no newer one can be had. */
  readonly dropAfterMs: number;
  /** The least time between two loads for the sake of {@link ReloadedValue.newer}. */
  readonly cooldownMs: number;
  readonly onFailure: (error: unknown) => void;
}

/** The keys cannot be had now. */
export class KeysUnavailableError extends Error {
  constructor(cause: unknown) {
    super('the keys cannot be loaded', { cause });
    this.name = 'KeysUnavailableError';
  }
}

/**
 * A value that is made from a text elsewhere, and loaded again as it ages. Calls for it load it, at most once
 * at a time, and not again within RETRY_MS of a failure: an origin that is down is not stormed.
 */
export class ReloadedValue<Value> {
  readonly #options: ReloadOptions<Value>;
  #text: string | undefined;
  #value: Value | undefined;
  #loadedAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  /** Of the last attempt. */
  #failure: unknown;
  #pending: Promise<void> | undefined;

  constructor(options: ReloadOptions<Value>) {
    this.#options = options;
  }

  /** Rejects with a KeysUnavailableError. */
  async get(): Promise<Value> {
    const { refreshAfterMs, waitAfterMs, dropAfterMs } = this.#options;
    const age = this.#age();
    if (age > waitAfterMs) await this.#load();
    else if (age > refreshAfterMs) void this.#load();
    if (this.#value === undefined || this.#age() > dropAfterMs) throw new KeysUnavailableError(this.#failure);
    return this.#value;
  }

  /**
   * A newer value, for a call that misses something in this one; undefined when it has just been loaded. Rejects with a
   * KeysUnavailableError when it cannot be loaded.
   */
  async newer(): Promise<Value | undefined> {
    const isRecent = performance.now() - this.#triedAt < this.#options.cooldownMs;
    if (this.#pending === undefined && isRecent && this.#failure === undefined) return undefined;
    await this.#load();
    if (this.#failure !== undefined) throw new KeysUnavailableError(this.#failure);
    return this.#value;
  }

  #age(): number {
    return performance.now() - this.#loadedAt;
  }

  /** Never rejects. */
  #load(): Promise<void> {
    if (this.#pending !== undefined) return this.#pending;
    const now = performance.now();
    if (this.#failure !== undefined && now - this.#triedAt < RETRY_MS) return Promise.resolve();
    this.#triedAt = now;
    this.#pending = this.#loadNow().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #loadNow(): Promise<void> {
    const { load, parse, onFailure } = this.#options;
    try {
      const text = await load();
      if (text !== this.#text) {
        this.#value = await parse(text);
        this.#text = text;
      }
      this.#loadedAt = performance.now();
      this.#failure = undefined;
    } catch (error) {
      this.#failure = error ?? new Error('no reason');
      onFailure(error);
    }
  }
}
