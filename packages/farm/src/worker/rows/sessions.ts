import type { Arena } from '@roost/broker';
import type { ConnectionTable } from './connection-table.ts';
import type { RowOwner } from './row-owner.ts';

/** Most bytes of a session. */
const MAX_SESSION_BYTES = 16 * 1024;

export interface SessionsParts {
  readonly table: ConnectionTable;
  readonly arena: Arena;
}

/** Sessions of connections, see Connection.session: records of the arena, and a column of the table. */
export class Sessions implements RowOwner {
  readonly #column: Int32Array;
  readonly #arena: Arena;

  constructor({ table, arena }: SessionsParts) {
    this.#column = table.sessions;
    this.#arena = arena;
  }

  /** The bytes themselves, lent; undefined without a session. */
  get(slot: number): Uint8Array | undefined {
    const id = this.#column[slot] ?? 0;
    return id === 0 ? undefined : this.#arena.get(id);
  }

  /** A copy of the bytes, which {@link checkSession} let pass; undefined ends the session. */
  set(slot: number, session: Uint8Array | undefined): void {
    if (session === undefined) {
      this.release(slot);
      return;
    }
    const id = this.#column[slot] ?? 0;
    this.#column[slot] = id === 0 ? this.#arena.add(session) : this.#arena.replace(id, session);
  }

  release(slot: number): void {
    const id = this.#column[slot] ?? 0;
    if (id === 0) return;
    this.#arena.free(id);
    this.#column[slot] = 0;
  }
}

/** Throws a TypeError or a RangeError for what cannot be a session. */
export function checkSession(session: unknown): void {
  if (session === undefined) return;
  if (!(session instanceof Uint8Array)) {
    throw new TypeError(`a session is bytes, or undefined for none, got ${typeof session}`);
  }
  if (session.length >= 1 && session.length <= MAX_SESSION_BYTES) return;
  throw new RangeError(`a session has 1 to ${MAX_SESSION_BYTES} bytes, got ${session.length}`);
}
