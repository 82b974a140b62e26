import { RowState } from '../rows/connection-table.ts';
import type { Core } from '../core.ts';

/** Gives bytes of a client to the part that the row's state asks for; they are overwritten after this returns. */
export function received(core: Core, slot: number, bytes: Buffer, start: number, end: number): void {
  const { table } = core;
  table.lastSeen[slot] = core.clock.now;
  switch (table.state(slot)) {
    case RowState.open:
      core.inbound.receive(slot, bytes, start, end);
      return;
    case RowState.handshake:
      core.handshakes.receive(slot, bytes, start, end);
      return;
    case RowState.preface:
      core.preface.receive(slot, bytes, start, end);
      return;
    case RowState.upgrading:
      core.handshakes.receivePaused(slot, bytes, start, end);
      return;
    case RowState.awake:
      core.awake.receive(slot, bytes, start, end);
      return;
    case RowState.closing:
      core.inbound.receiveClosing(slot, bytes, start, end);
      return;
    case RowState.securing:
      core.tls?.receive(slot, bytes, start, end);
      return;
    default:
    // refusing: what the client still says is not read by anybody.
  }
}
