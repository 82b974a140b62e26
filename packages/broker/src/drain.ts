/** How long a wait lasts at most, in ms. */
const DRAIN_MS = 1_000;

/** Waits, at most a second each, until no publish is under way any more. */
export class Drain {
  readonly #waiting = new Set<() => void>();

  /** Resolves with true at the next {@link finish}, or with false after a second. */
  wait(): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (isDrained: boolean): void => {
        clearTimeout(timer);
        this.#waiting.delete(finished);
        resolve(isDrained);
      };
      const finished = (): void => finish(true);
      const timer = setTimeout(() => finish(false), DRAIN_MS);
      this.#waiting.add(finished);
    });
  }

  /** The last publish under way has its outcome. */
  finish(): void {
    for (const finished of this.#waiting) finished();
  }
}
