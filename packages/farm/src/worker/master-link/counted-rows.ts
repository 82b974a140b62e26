import { addressKeyHigh, addressKeyLow } from '../../addresses/address-table.ts';
import { RowFlag, type ConnectionTable } from '../rows/connection-table.ts';
import type { RowOwner } from '../rows/row-owner.ts';
import type { AddressCounts, ClientVerdict } from './address-counts.ts';

/**
 * Which rows count against a limit of their address. Peers were counted by the master, before the hand-off; a client that a
 * trusted proxy has named is judged here.
 */
export class CountedRows implements RowOwner {
  readonly #table: ConnectionTable;
  readonly #addresses: AddressCounts;

  constructor(table: ConnectionTable, addresses: AddressCounts) {
    this.#table = table;
    this.#addresses = addresses;
  }

  /** May the client of this row come in? When `counted`, the row counts until it ends. */
  admit(slot: number): ClientVerdict {
    const table = this.#table;
    const offset = table.addressOffset(slot);
    const high = addressKeyHigh(table.addresses, offset);
    const low = addressKeyLow(table.addresses, offset);
    const verdict = this.#addresses.judge(high, low, performance.now());
    if (verdict === 'counted') table.setFlag(slot, RowFlag.counted);
    return verdict;
  }

  release(slot: number): void {
    const table = this.#table;
    if (!table.hasFlag(slot, RowFlag.counted)) return;
    const offset = table.addressOffset(slot);
    const high = addressKeyHigh(table.addresses, offset);
    const low = addressKeyLow(table.addresses, offset);
    if (table.hasFlag(slot, RowFlag.proxied)) this.#addresses.clientEnded(high, low);
    else this.#addresses.peerEnded(high, low);
  }
}
