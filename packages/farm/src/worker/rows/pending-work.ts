import type { ConnectionTable } from './connection-table.ts';
import type { RowOwner } from './row-owner.ts';

/**
 * What is under way for rows: asynchronous hooks of applications, subscriptions that the broker has not confirmed, joins. Such a
 * row had better stay in its process until it is done. Only rows for which something is under way cost anything.
 */
export class PendingWork implements RowOwner {
  readonly #table: Pick<ConnectionTable, 'isCurrent'>;
  readonly #counts = new Map<number, number>();

  constructor(table: Pick<ConnectionTable, 'isCurrent'>) {
    this.#table = table;
  }

  has(slot: number): boolean {
    return this.#counts.has(slot);
  }

  /** One begins for the row of this generation, which may have ended before: an app has waited after it ended its connection. */
  begin(slot: number, generation: number): void {
    if (!this.#table.isCurrent(slot, generation)) return;
    this.#counts.set(slot, (this.#counts.get(slot) ?? 0) + 1);
  }

  /** One that began for the row of this generation is done. */
  end(slot: number, generation: number): void {
    if (!this.#table.isCurrent(slot, generation)) return;
    const count = this.#counts.get(slot) ?? 0;
    if (count > 1) this.#counts.set(slot, count - 1);
    else this.#counts.delete(slot);
  }

  release(slot: number): void {
    this.#counts.delete(slot);
  }
}
