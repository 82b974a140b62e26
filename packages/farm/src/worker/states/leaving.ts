import { frameHeaderBytes, type Opcode } from '@roost/websocket';
import type { FarmConfig } from '../../options/options.ts';
import type { Rows } from '../rows/rows.ts';
import type { RowOwner } from '../rows/row-owner.ts';
import { State } from './state.ts';

/** What the application wants done with a connection that is on its way to another worker. */
export type TailStep =
  | { readonly do: 'send'; readonly opcode: Opcode; readonly data: string | Uint8Array }
  | { readonly do: 'close'; readonly code: number; readonly reason: string; readonly isOwn: boolean }
  | { readonly do: 'terminate' };

/** The steps for one connection. */
export interface Tail {
  steps: TailStep[];
  /** What its messages will take in a queue. */
  bytes: number;
  /** What is kept with it was replaced since it was written down. */
  hasChanged: boolean;
  isClosed: boolean;
}

export interface LeavingParts {
  readonly config: Pick<FarmConfig, 'maxOutboundBytes'>;
  readonly rows: Rows;
}

/**
 * Connections of which another worker has been given everything, and that may be its own already: nothing is read from them, or
 * sent to them, until it says that it has them, or that it does not take them. What the application does with one meanwhile is
 * noted, at most `maxOutboundBytes` of messages, and done where the connection is in the end.
 */
export class Leaving extends State implements RowOwner {
  readonly #maxBytes: number;
  /** Undefined: nothing was done with it so far, as with nearly all. */
  readonly #tails = new Map<number, Tail | undefined>();

  constructor({ config, rows }: LeavingParts) {
    super(rows);
    this.#maxBytes = config.maxOutboundBytes;
  }

  begin(slot: number): void {
    this.#tails.set(slot, undefined);
  }

  has(slot: number): boolean {
    return this.#tails.has(slot);
  }

  /** Whether it will be closed, or ended, where it is in the end. */
  isClosed(slot: number): boolean {
    return this.#tails.get(slot)?.isClosed === true;
  }

  /** False when it was dropped. */
  send(slot: number, opcode: Opcode, data: string | Uint8Array): boolean {
    const tail = this.#tailOf(slot);
    if (tail === undefined || tail.isClosed) return false;
    const payloadBytes = typeof data === 'string' ? Buffer.byteLength(data) : data.length;
    const bytes = frameHeaderBytes(payloadBytes) + payloadBytes;
    if (tail.bytes + bytes > this.#maxBytes) return false;
    tail.bytes += bytes;
    tail.steps.push({ do: 'send', opcode, data: typeof data === 'string' ? data : Uint8Array.from(data) });
    return true;
  }

  close(slot: number, code: number, reason: string, isOwn: boolean): boolean {
    const tail = this.#tailOf(slot);
    if (tail === undefined || tail.isClosed) return false;
    tail.isClosed = true;
    tail.steps.push({ do: 'close', code, reason, isOwn });
    return true;
  }

  terminate(slot: number): void {
    const tail = this.#tailOf(slot);
    if (tail === undefined) return;
    tail.isClosed = true;
    tail.steps.push({ do: 'terminate' });
  }

  /** Its attachment, session, user or deadline was set. */
  changed(slot: number): void {
    const tail = this.#tailOf(slot);
    if (tail !== undefined) tail.hasChanged = true;
  }

  /** What is to be done now that it is known where the connection is; undefined for nothing. */
  take(slot: number): Tail | undefined {
    const tail = this.#tails.get(slot);
    this.#tails.delete(slot);
    return tail;
  }

  receive(): void {
    // It is not watched.
  }

  override onPeerEnd(): void {
    // Whoever reads it finds out.
  }

  override onLost(): void {
    // As above.
  }

  onTimeout(): void {
    // It has none.
  }

  release(slot: number): void {
    this.#tails.delete(slot);
  }

  /** Undefined when the connection is not on its way. */
  #tailOf(slot: number): Tail | undefined {
    const known = this.#tails.get(slot);
    if (known !== undefined || !this.#tails.has(slot)) return known;
    const tail = { steps: [], bytes: 0, hasChanged: false, isClosed: false };
    this.#tails.set(slot, tail);
    return tail;
  }
}
