import { within } from './eventually.ts';
import type { EventuallyOptions } from './eventually.ts';

/**
 * Waits on something that changes and says so. Waiters look in the order in which they came, so two reads
 * of one stream get its parts in order, and one that gave up at its deadline takes nothing any more.
 */
export class Changes {
  readonly #watchers = new Set<() => void>();

  /** Something changed: whoever waits looks again. */
  notify(): void {
    for (const watcher of this.#watchers) watcher();
  }

  /**
   * Waits until `look` returns something. It is called at once and after each change; when it throws, the
   * wait rejects with that. Rejects with `TESTING_DEADLINE` after the deadline.
   */
  async until<Result>(
    look: () => Result | undefined,
    options: EventuallyOptions & { readonly seen?: () => string },
  ): Promise<Result> {
    let watcher: (() => void) | undefined;
    const found = new Promise<Result>((resolve, reject) => {
      watcher = () => {
        try {
          const result = look();
          if (result === undefined) return;
          resolve(result);
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
        if (watcher !== undefined) this.#watchers.delete(watcher);
      };
      this.#watchers.add(watcher);
      watcher();
    });
    try {
      return await within(found, options);
    } finally {
      if (watcher !== undefined) this.#watchers.delete(watcher);
    }
  }
}
