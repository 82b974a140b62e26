import { addressKeyHigh, addressKeyLow } from '../../addresses/address-table.ts';
import { AddressNote, type AddressRecords } from '../../link/address-records.ts';
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

  /** The row has come from another worker, where it counted. The note of its end, which the master is told of now. */
  adopt(slot: number, notes: AddressRecords): void {
    const table = this.#table;
    if (!table.hasFlag(slot, RowFlag.counted)) return;
    const offset = table.addressOffset(slot);
    const high = addressKeyHigh(table.addresses, offset);
    const low = addressKeyLow(table.addresses, offset);
    const isProxied = table.hasFlag(slot, RowFlag.proxied);
    if (isProxied) this.#addresses.clientMoved(high, low, 1);
    notes.addNote(isProxied ? AddressNote.clientEnded : AddressNote.peerEnded, high, low);
  }

  /** It counts where it went, of which the master is told there. */
  depart(slot: number): void {
    const table = this.#table;
    if (!table.hasFlag(slot, RowFlag.counted) || !table.hasFlag(slot, RowFlag.proxied)) return;
    const offset = table.addressOffset(slot);
    const { addresses } = table;
    this.#addresses.clientMoved(addressKeyHigh(addresses, offset), addressKeyLow(addresses, offset), -1);
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
