/**
 * Items that all wait equally long, with one timer for all of them.
 *
 * Insertion order is due order, so a Map is the whole data structure: adding, removing and finding the next
 * one are O(1). The timer does not hold the process.
 *
 * `onDue` runs after the event loop has read what had arrived: a process that was stopped or starved for
 * longer than the timeout must not take answers that lie in its sockets for missing.
 */
export class DeadlineQueue<Item> {
  readonly #timeoutMs: number;
  readonly #onDue: (item: Item) => void;
  readonly #dueAt = new Map<Item, number>();
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  constructor(timeoutMs: number, onDue: (item: Item) => void) {
    this.#timeoutMs = timeoutMs;
    this.#onDue = onDue;
  }

  /** Adds the item, or starts its time again. */
  add(item: Item): void {
    this.#dueAt.delete(item);
    this.#dueAt.set(item, performance.now() + this.#timeoutMs);
    if (this.#timer === undefined && this.#immediate === undefined) this.#arm(this.#timeoutMs);
  }

  remove(item: Item): void {
    this.#dueAt.delete(item);
  }

  clear(): void {
    this.#dueAt.clear();
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#timer = undefined;
    this.#immediate = undefined;
  }

  #arm(delayMs: number): void {
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#immediate = setImmediate(() => this.#expire());
      },
      Math.max(1, delayMs),
    );
    this.#timer.unref();
  }

  #expire(): void {
    this.#immediate = undefined;
    const now = performance.now();
    for (const [item, dueAt] of this.#dueAt) {
      if (dueAt > now) {
        // onDue may have added an item, and armed the timer with it.
        if (this.#timer === undefined) this.#arm(dueAt - now);
        return;
      }
      this.#dueAt.delete(item);
      this.#onDue(item);
    }
  }
}
