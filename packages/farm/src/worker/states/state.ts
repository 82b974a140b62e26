import { CloseCode } from '../../api/close-codes.ts';
import type { Rows } from '../rows/rows.ts';

/** What happens to rows in one state. Each event comes with a row that is in this state. */
export abstract class State {
  protected readonly rows: Rows;

  constructor(rows: Rows) {
    this.rows = rows;
  }

  /** Bytes of the client, from `start` to `end`; they are overwritten after this returns. */
  abstract receive(slot: number, bytes: Buffer, start: number, end: number): void;

  /** A client whose row is paused has sent FIN; bytes before it may still wait. */
  onHalfClose(_slot: number): void {
    // Only paused rows are told, and their states say what it means.
  }

  /** The client has sent FIN, and all bytes before it have been read. */
  onPeerEnd(slot: number): void {
    this.rows.end(slot, CloseCode.abnormal, '');
  }

  /** The TCP connection has failed, or has ended without us. */
  onLost(slot: number): void {
    this.rows.end(slot, CloseCode.abnormal, '');
  }

  /** The row's timeout of this kind has passed; see TimeoutKind. */
  abstract onTimeout(slot: number, kind: number): void;
}
