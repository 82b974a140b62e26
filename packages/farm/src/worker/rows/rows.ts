import { CloseCode } from '../../api/close-codes.ts';
import type { Connection } from '../../api/connection.ts';
import type { Counters } from '../../api/counters.ts';
import { RowFlag, RowState, type ConnectionTable } from './connection-table.ts';
import type { RowOwner } from './row-owner.ts';

/** A row that has ended, as its close hook sees it. */
export interface EndedRow {
  /** Index of the app that accepted it. */
  readonly app: number;
  readonly connection: Connection;
}

export interface RowHandlers {
  /** An opened row ends; all that is kept for it is still there. Answers what the close hook is told; undefined without one. */
  rowOnEnding(slot: number): EndedRow | undefined;
  /** The row has been given back, and its close hook is due. */
  rowOnEnd(row: EndedRow, code: number, reason: string): void;
}

/**
 * The life of a row: the only writer of its state, and its only end. Whatever the reason, the end is one call: every owner
 * gives back what it kept, the row is released, and the close hook that is owed is called. A row that departs is given back
 * in the same way, but lives on elsewhere.
 */
export class Rows {
  readonly #table: ConnectionTable;
  readonly #counters: Counters;
  #owners: readonly RowOwner[] = [];
  #handlers!: RowHandlers;

  constructor(table: ConnectionTable, counters: Counters) {
    this.#table = table;
    this.#counters = counters;
  }

  /** Given once, before the first row. The last owner is the one that closes the socket. */
  connect(owners: readonly RowOwner[], handlers: RowHandlers): void {
    this.#owners = owners;
    this.#handlers = handlers;
  }

  /** A row in state closing or refusing is sent no messages any more. */
  enter(slot: number, state: number): void {
    this.#table.states[slot] = state;
    if (state === RowState.closing || state === RowState.refusing) this.stopMessages(slot);
  }

  /** The row is not open any more, whatever its state. */
  stopMessages(slot: number): void {
    this.#table.clearFlag(slot, RowFlag.open | RowFlag.sendable);
  }

  /** Ends the row, and calls the close hook if one is owed. A row that has ended already stays as it is. */
  end(slot: number, code: number, reason: string): void {
    const ended = this.#end(slot, code);
    if (ended !== undefined) this.#handlers.rowOnEnd(ended, code, reason);
  }

  /** As {@link end}, from within a send to another row: the close hook, which may send as well, is called later. */
  endDuringSend(slot: number, code: number, reason: string): void {
    const ended = this.#end(slot, code);
    if (ended !== undefined) setImmediate(() => this.#handlers.rowOnEnd(ended, code, reason));
  }

  /** The row is another worker's now: no hook is called, and its connection does not end. */
  depart(slot: number): void {
    if (this.#table.state(slot) === RowState.free) return;
    for (const owner of this.#owners) {
      if (owner.depart === undefined) owner.release(slot);
      else owner.depart(slot);
    }
    this.#table.release(slot);
  }

  #end(slot: number, code: number): EndedRow | undefined {
    const table = this.#table;
    if (table.state(slot) === RowState.free) return undefined;
    const wasOpened = table.hasFlag(slot, RowFlag.opened);
    const ended = wasOpened ? this.#handlers.rowOnEnding(slot) : undefined;
    for (const owner of this.#owners) owner.release(slot);
    table.release(slot);
    if (!wasOpened) return undefined;
    this.#counters.add('closed');
    this.#counters.closes.add(code);
    if (code === CloseCode.abnormal) this.#counters.add('closed_abnormally');
    return ended;
  }
}
