import { ClosingReader, encodeCloseFrame, Opcode } from '@roost/websocket';
import { CloseCode } from '../../api/close-codes.ts';
import type { Counters } from '../../api/counters.ts';
import type { AppHost } from '../app/app-host.ts';
import type { Subscriptions } from '../fan-out/subscriptions.ts';
import type { Outbound } from '../outbound/outbound.ts';
import { RowFlag, RowState, type ConnectionTable } from '../rows/connection-table.ts';
import { EMPTY } from '../rows/empty.ts';
import type { InboundBuffer } from '../rows/inbound-buffer.ts';
import type { Rows } from '../rows/rows.ts';
import { TimeoutKind, type Timeouts } from '../rows/timeouts.ts';
import type { CloseReason } from './close-reasons.ts';
import type { Ending } from './ending.ts';
import { State } from './state.ts';

export interface ClosingParts {
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly counters: Counters;
  readonly timeouts: Timeouts;
  readonly inboundBuffer: InboundBuffer;
  readonly apps: Pick<AppHost, 'closeReplacementOf'>;
  readonly subscriptions: Pick<Subscriptions, 'leave'>;
  readonly outbound: Pick<Outbound, 'send' | 'sendChunk' | 'finish'>;
  readonly ending: Ending;
}

/**
 * The closing handshake (RFC 6455 §7.1.2). A close that the client begins is answered with a copy of its frame, and the row
 * ends as soon as that is sent. A close that we begin does not wake the connection: the close frame is sent, data is
 * discarded, and the client's close frame, its FIN or `closeTimeoutMs` ends the row.
 */
export class Closing extends State {
  readonly #table: ConnectionTable;
  readonly #counters: Counters;
  readonly #timeouts: Timeouts;
  readonly #inboundBuffer: InboundBuffer;
  readonly #apps: ClosingParts['apps'];
  readonly #subscriptions: ClosingParts['subscriptions'];
  readonly #outbound: ClosingParts['outbound'];
  readonly #ending: Ending;
  readonly #reader = new ClosingReader();

  constructor(parts: ClosingParts) {
    super(parts.rows);
    this.#table = parts.table;
    this.#counters = parts.counters;
    this.#timeouts = parts.timeouts;
    this.#inboundBuffer = parts.inboundBuffer;
    this.#apps = parts.apps;
    this.#subscriptions = parts.subscriptions;
    this.#outbound = parts.outbound;
    this.#ending = parts.ending;
  }

  /** We begin the closing handshake of an open row that sleeps. */
  begin(slot: number, code: number, reason: string): void {
    const inboundBuffer = this.#inboundBuffer;
    this.#counters.closes.know(code);
    this.#enter(slot);
    this.#outbound.sendChunk(slot, encodeCloseFrame(code, reason));
    // What is kept of a frame is now to be skipped.
    const kept = inboundBuffer.length(slot) === 0 ? EMPTY : inboundBuffer.take(slot, EMPTY, 0, 0);
    inboundBuffer.setRequired(slot, 0);
    if (kept.length > 0) this.receive(slot, kept, 0, kept.length);
  }

  /** As {@link begin}, for a reason of the worker's own: with the code and reason that the row's app has in its place. */
  beginOwn(slot: number, code: number, reason: string): void {
    const replacement = this.#apps.closeReplacementOf(slot, code);
    this.begin(slot, replacement?.code ?? code, replacement?.reason ?? reason);
  }

  /**
   * As {@link beginOwn}, in the middle of the client's bytes: its close frame may be among
   * the others.
   */
  beginFor(
    { code, reason, counter }: CloseReason,
    slot: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    this.#counters.add(counter);
    this.beginOwn(slot, code, reason);
    if (this.#table.state(slot) === RowState.closing) this.receive(slot, bytes, start, end);
  }

  /** The client begins; `payload` is what its close frame carried, which ours repeats. */
  answer(slot: number, payload: Buffer): void {
    this.#enter(slot);
    this.#inboundBuffer.release(slot);
    const code = payload.length === 0 ? CloseCode.noStatus : payload.readUInt16BE(0);
    const reason = payload.toString('utf8', 2);
    this.#outbound.send(slot, Opcode.close, payload);
    this.#ending.afterCloseFrames(slot, code, reason);
  }

  /** ws has the connection and ends it: its close frame is sent, FIN follows. */
  joinWs(slot: number): void {
    this.#timeouts.set(slot, TimeoutKind.closing);
    this.#subscriptions.leave(slot);
    this.rows.stopMessages(slot);
    this.#outbound.finish(slot);
  }

  /** Everything is discarded but the client's close frame. */
  receive(slot: number, bytes: Buffer, start: number, end: number): void {
    if (this.#ending.isEnding(slot)) return;
    const inboundBuffer = this.#inboundBuffer;
    const skip = inboundBuffer.required(slot);
    let from = start;
    let to = end;
    let source = bytes;
    if (inboundBuffer.length(slot) > 0) {
      source = inboundBuffer.take(slot, bytes, start, end);
      from = 0;
      to = source.length;
    }
    const reader = this.#reader;
    reader.acceptsDeflated = this.#table.hasFlag(slot, RowFlag.deflate);
    if (reader.read(source, from, to, skip)) {
      this.#ending.afterCloseFrames(slot, reader.closeCode, reader.closeReason);
      return;
    }
    if (reader.consumed < to && !inboundBuffer.append(slot, source, reader.consumed, to)) {
      this.#ending.afterCloseFrames(slot, CloseCode.abnormal, '');
      return;
    }
    inboundBuffer.setRequired(slot, reader.skipBytes);
  }

  override onPeerEnd(slot: number): void {
    this.#ending.onPeerEnd(slot);
  }

  override onLost(slot: number): void {
    this.#ending.abort(slot);
  }

  onTimeout(slot: number): void {
    this.#ending.timedOut(slot);
  }

  #enter(slot: number): void {
    this.#subscriptions.leave(slot);
    this.rows.enter(slot, RowState.closing);
    this.#timeouts.set(slot, TimeoutKind.closing);
  }
}
