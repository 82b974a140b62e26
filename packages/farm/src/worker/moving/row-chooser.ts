import { RowState } from '../rows/connection-table.ts';
import { isMovable } from './is-movable.ts';
import type { MovingParts } from './moving-parts.ts';

/** What a row becomes from these can move. */
const WILL_BE_MOVABLE: ReadonlySet<number> = new Set([RowState.upgrading, RowState.preface, RowState.http]);

export type RowChooserParts = Pick<
  MovingParts,
  'table' | 'pendingWork' | 'resyncs' | 'counters' | 'config' | 'http'
>;

export interface Chosen {
  readonly slots: readonly number[];
  /** Rows that may be chosen later. */
  readonly postponed: number;
  /** Those for which something is under way, or begins, are to wait for it. */
  readonly isPatient: boolean;
}

/**
 * Chooses rows for batches, from where it ended before, all around. Those for which something is under way are left for later; when
 * the others do not fill a batch any more they are waited for, as long as `handoverGraceMs`.
 */
export class RowChooser {
  readonly #parts: RowChooserParts;
  readonly #isForAll: boolean;
  /** Since when there are not enough of the others. */
  #waitingSince: number | undefined;
  /** Rows that cannot be written down, and their generations. */
  readonly #unwritable = new Map<number, number>();
  #hasLate = false;
  #cursor = 0;

  /** `isForAll`: also sockets that are no connections (yet). */
  constructor(parts: RowChooserParts, isForAll: boolean) {
    this.#parts = parts;
    this.#isForAll = isForAll;
  }

  /** These cannot be written down: they are chosen no more. */
  leave(slots: readonly number[]): void {
    for (const slot of slots) this.#unwritable.set(slot, this.#parts.table.generation(slot));
  }

  /** Whether one is left that cannot be written down. */
  get hasLeft(): boolean {
    for (const slot of this.#unwritable.keys()) if (this.#isLeft(slot)) return true;
    return false;
  }

  /** For some that were chosen something has begun since: they are chosen again. */
  late(): void {
    this.#hasLate = true;
  }

  choose(count: number): Chosen {
    const chosen = this.#look(count, true);
    const isWaitedFor = chosen.postponed > 0 || this.#hasLate;
    this.#hasLate = false;
    if (chosen.slots.length === count || !isWaitedFor) {
      this.#waitingSince = undefined;
      return chosen;
    }
    const now = performance.now();
    this.#waitingSince ??= now;
    return now - this.#waitingSince < this.#parts.config.handoverGraceMs ? chosen : this.#look(count, false);
  }

  #look(count: number, isPatient: boolean): Chosen {
    const { table, pendingWork, resyncs, counters, http } = this.#parts;
    const slots: number[] = [];
    let postponed = 0;
    const { highWater } = table;
    for (let looked = 0; looked < highWater && slots.length < count; looked++) {
      const slot = this.#cursor < highWater ? this.#cursor : 0;
      this.#cursor = slot + 1;
      const state = table.state(slot);
      const isOpen = state === RowState.open || state === RowState.awake;
      if (!isOpen && !this.#isForAll) continue;
      if (this.#isLeft(slot)) continue;
      if (!isMovable(this.#parts, slot)) {
        if (isPatient && http.canLift && WILL_BE_MOVABLE.has(state)) postponed++;
      } else if (isPatient && resyncs.owes(slot)) {
        postponed++;
      } else if (!pendingWork.has(slot)) {
        slots.push(slot);
      } else if (isPatient) {
        postponed++;
      } else {
        counters.add('moves_hooks_pending');
        slots.push(slot);
      }
    }
    return { slots, postponed, isPatient };
  }

  #isLeft(slot: number): boolean {
    const generation = this.#unwritable.get(slot);
    return generation !== undefined && this.#parts.table.isCurrent(slot, generation);
  }
}
