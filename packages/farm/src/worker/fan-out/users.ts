import type { ConnectionTable } from '../rows/connection-table.ts';
import type { RowOwner } from '../rows/row-owner.ts';
import { hiddenChannel, type Arena } from '@roost/broker';
import { Hub } from './hub.ts';
import type { Occupancy } from './occupancy.ts';

export interface UsersParts {
  readonly table: ConnectionTable;
  readonly arena: Arena;
  readonly occupancy: Pick<Occupancy, 'counts' | 'joined' | 'left'>;
}

/**
 * Whose the connections of this worker are. A hub of its own: a user is a channel that no broker knows. A connection keeps its
 * user until its close hook was called.
 */
export class Users implements RowOwner {
  readonly #firstUsers: Int32Array;
  readonly #hub: Hub;
  readonly #occupancy: UsersParts['occupancy'];

  constructor({ table, arena, occupancy }: UsersParts) {
    this.#firstUsers = table.firstUsers;
    this.#hub = new Hub(table.firstUsers, arena);
    this.#occupancy = occupancy;
  }

  userOf(slot: number): string | undefined {
    return this.#firstUsers[slot] === 0 ? undefined : this.#hub.subscriptionsOf(slot)[0];
  }

  /** `user` as checkUser lets it pass. */
  set(slot: number, user: string | undefined): void {
    this.release(slot);
    if (user === undefined) return;
    this.#hub.subscribe(slot, user);
    if (this.#occupancy.counts(slot)) this.#occupancy.joined(slot, hiddenChannel(user));
  }

  /** Slots of the user's connections: a copy. */
  connectionsOf(user: string): Int32Array {
    return this.#hub.subscribersOf(user);
  }

  release(slot: number): void {
    if (this.#firstUsers[slot] === 0) return;
    const user = this.#occupancy.counts(slot) ? this.userOf(slot) : undefined;
    this.#hub.unsubscribeAll(slot);
    if (user !== undefined) this.#occupancy.left(slot, hiddenChannel(user));
  }
}
