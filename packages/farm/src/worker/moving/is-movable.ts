import { RowFlag, RowState, Transport, type ConnectionTable } from '../rows/connection-table.ts';

/** Whether a row is in a state in which it can move. */
export function isMovable({ table }: { readonly table: ConnectionTable }, slot: number): boolean {
  if (table.transports[slot] !== Transport.native) return false;
  if (table.hasFlag(slot, RowFlag.finishing | RowFlag.limited | RowFlag.reserved)) return false;
  const state = table.state(slot);
  if (state === RowState.handshake) return !table.hasFlag(slot, RowFlag.opened);
  return (state === RowState.open || state === RowState.awake) && table.isOpen(slot);
}
