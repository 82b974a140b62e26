import { TestingError } from './errors.ts';

/** How long a test waits. */
export interface WaitOptions {
  /** From the call on, in ms. Default: that of the farm, `deadlineMs`. */
  readonly deadlineMs?: number;
}

interface Wait {
  readonly deadlineMs: number;
  /** What is waited for, for the error: "a message arrives". */
  readonly what: string;
  /** What has come by the deadline, for the error. */
  readonly seen: () => string;
}

/** Waits on something that changes and says so. Waiters look in the order in which they came. */
export class Changes {
  readonly #watchers = new Set<() => void>();

  /** Something changed: whoever waits looks again. */
  notify(): void {
    for (const watcher of this.#watchers) watcher();
  }

  /**
   * Waits until `look` returns something. It is called at once and after each change; when it throws, the wait rejects
   * with that. Rejects with TESTING_DEADLINE. The timer keeps the process alive: nothing else that belongs to a farm does.
   */
  async until<Result>(look: () => Result | undefined, { deadlineMs, what, seen }: Wait): Promise<Result> {
    let watcher: (() => void) | undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<Result>((resolve, reject) => {
        timer = setTimeout(() => {
          const message = `Within ${deadlineMs} ms it did not come true that ${what}. Seen so far: ${seen()}`;
          reject(new TestingError('TESTING_DEADLINE', message));
        }, deadlineMs);
        watcher = () => {
          try {
            const result = look();
            if (result === undefined) return;
            resolve(result);
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
          }
          // What the next waiter is to take must not be taken by one that has settled.
          if (watcher !== undefined) this.#watchers.delete(watcher);
        };
        this.#watchers.add(watcher);
        watcher();
      });
    } catch (error) {
      // From here it leads to the line of the test that waited.
      if (error instanceof TestingError) Error.captureStackTrace(error);
      throw error;
    } finally {
      clearTimeout(timer);
      if (watcher !== undefined) this.#watchers.delete(watcher);
    }
  }
}
