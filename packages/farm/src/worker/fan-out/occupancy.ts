import { isHidden, type ChannelStore } from '@roost/broker';
import type { AppHost } from '../app/app-host.ts';
import type { ConnectionTable } from '../rows/connection-table.ts';

export interface OccupancyParts {
  readonly table: ConnectionTable;
  readonly apps: Pick<AppHost, 'hasOccupancy' | 'tellsCount'>;
  readonly store: Pick<ChannelStore, 'setSubscribers' | 'subscribers'>;
}

/** Tells the store how many connections of apps with `occupancy` are subscribed to each channel. */
export class Occupancy {
  readonly #table: ConnectionTable;
  readonly #apps: OccupancyParts['apps'];
  readonly #store: OccupancyParts['store'];

  constructor({ table, apps, store }: OccupancyParts) {
    this.#table = table;
    this.#apps = apps;
    this.#store = store;
  }

  /** Whether subscriptions of the row are counted. */
  counts(slot: number): boolean {
    return this.#apps.hasOccupancy(this.#table.apps[slot] ?? 0);
  }

  /** The row, which {@link counts}, has one subscription more. */
  joined(slot: number, channel: string): void {
    this.#add(slot, channel, 1);
  }

  /** The row, which {@link counts}, has one subscription less. */
  left(slot: number, channel: string): void {
    this.#add(slot, channel, -1);
  }

  #add(slot: number, channel: string, change: 1 | -1): void {
    // Under a hidden name a user's connections are counted, who are told nothing.
    const tellsCount = !isHidden(channel) && this.#apps.tellsCount(this.#table.apps[slot] ?? 0, channel);
    this.#store.setSubscribers(channel, this.#store.subscribers(channel) + change, { tellsCount });
  }
}
