import { isUtf8 } from 'node:buffer';
import { ClosingReader, FrameCut, FrameCutter, FrameKind, Opcode, SimpleFrameReader } from '@roost/websocket';
import { RowFlag, RowState } from '../rows/connection-table.ts';
import type { Core } from '../core.ts';
import { CloseCode } from '../../api/close-codes.ts';
import { TimeoutKind } from '../rows/timeouts.ts';

/**
 * Bytes from clients whose connection is open (or closing), read without any object per connection: whole simple
 * frames go to the app, a frame that has not fully arrived is kept raw, and everything else wakes the connection.
 */
export class Inbound {
  readonly #core: Core;
  readonly #reader: SimpleFrameReader;
  readonly #cutter: FrameCutter;
  readonly #closingReader = new ClosingReader();

  constructor(core: Core) {
    const { maxMessageBytes } = core.config;
    this.#core = core;
    this.#reader = new SimpleFrameReader({ maxMessageBytes });
    this.#cutter = new FrameCutter({ maxMessageBytes });
  }

  /** Bytes of an open row; they are overwritten after this returns. */
  receive(slot: number, bytes: Buffer, start: number, end: number): void {
    const { inboundBuffer } = this.#core;
    const stored = inboundBuffer.length(slot);
    if (stored === 0) {
      this.#read(slot, bytes, start, end, false);
      return;
    }
    if (stored + end - start < inboundBuffer.required(slot)) {
      this.keep(slot, bytes, start, end, inboundBuffer.required(slot), false);
      return;
    }
    const whole = inboundBuffer.take(slot, bytes, start, end);
    this.#read(slot, whole, 0, whole.length, true);
  }

  /** Bytes of a row in state closing: everything is discarded but the client's close frame. */
  receiveClosing(slot: number, bytes: Buffer, start: number, end: number): void {
    const { inboundBuffer, lifecycle, table } = this.#core;
    if (lifecycle.isCloseSettled(slot)) return;
    const skip = inboundBuffer.required(slot);
    let from = start;
    let to = end;
    let source = bytes;
    if (inboundBuffer.length(slot) > 0) {
      source = inboundBuffer.take(slot, bytes, start, end);
      from = 0;
      to = source.length;
    }
    const reader = this.#closingReader;
    reader.acceptsDeflated = table.hasFlag(slot, RowFlag.deflate);
    if (reader.read(source, from, to, skip)) {
      lifecycle.closeAnswered(slot, reader.closeCode, reader.closeReason);
      return;
    }
    if (reader.consumed < to && !inboundBuffer.append(slot, source, reader.consumed, to)) {
      lifecycle.closeAnswered(slot, CloseCode.abnormal, '');
      return;
    }
    inboundBuffer.setRequired(slot, reader.skipBytes);
  }

  /** Keeps the beginning of a frame. `isNew`: the frame before it was completed by the same bytes. */
  keep(slot: number, bytes: Buffer, start: number, end: number, requiredBytes: number, isNew: boolean): void {
    const { inboundBuffer, timeouts } = this.#core;
    if (!inboundBuffer.append(slot, bytes, start, end)) {
      this.refuseForMemory(slot, bytes, start, end);
      return;
    }
    inboundBuffer.setRequired(slot, requiredBytes);
    // The time of a message counts from its first byte: more of the same message does not renew it.
    if (isNew || timeouts.kind(slot) !== TimeoutKind.message) timeouts.set(slot, TimeoutKind.message);
  }

  /** Closes with 1013 a connection for whose bytes there is no room: they are discarded up to its close frame. */
  refuse(slot: number, bytes: Buffer, start: number, end: number, reason: string): void {
    const { table, lifecycle } = this.#core;
    lifecycle.close(slot, CloseCode.tryAgainLater, reason);
    if (table.state(slot) === RowState.closing) this.receiveClosing(slot, bytes, start, end);
  }

  /** `maxInboundBytesPerWorker` is reached. */
  refuseForMemory(slot: number, bytes: Buffer, start: number, end: number): void {
    this.#core.counters.add('refused_inbound_bytes');
    this.refuse(slot, bytes, start, end, 'the server is short of memory for messages');
  }

  /** A message or control frame more than `messageRate` allows: it is the last that is looked at. */
  refuseTooMany(slot: number, bytes: Buffer, start: number, end: number): void {
    const { config, counters, table, lifecycle } = this.#core;
    counters.add('closed_message_rate');
    lifecycle.close(slot, CloseCode.messageRate, `more than ${config.messageRate} messages a second`);
    if (table.state(slot) === RowState.closing) this.receiveClosing(slot, bytes, start, end);
  }

  /** A close that we began: what is kept of a frame is now to be skipped. */
  beginClosing(slot: number): void {
    const { inboundBuffer } = this.#core;
    if (inboundBuffer.length(slot) === 0) {
      inboundBuffer.setRequired(slot, 0);
      return;
    }
    const kept = inboundBuffer.take(slot, EMPTY, 0, 0);
    inboundBuffer.setRequired(slot, 0);
    this.receiveClosing(slot, kept, 0, kept.length);
  }

  /** `isOwned`: the bytes are nobody else's, so that a large message need not be copied. */
  #read(slot: number, bytes: Buffer, start: number, end: number, isOwned: boolean): void {
    const { table, counters, apps, outbound, awake, lifecycle, messageRate } = this.#core;
    const generation = table.generation(slot);
    const reader = this.#reader;
    let at = start;
    table.setFlag(slot, RowFlag.dirty);
    reader.acceptsDeflated = table.hasFlag(slot, RowFlag.deflate);
    this.#cutter.acceptsDeflated = reader.acceptsDeflated;
    while (at < end) {
      const kind = reader.next(bytes, at, end);
      if (messageRate !== undefined && isLimited(kind) && !messageRate.take(slot)) {
        this.refuseTooMany(slot, bytes, reader.frameEnd, end);
        return;
      }
      switch (kind) {
        case FrameKind.text:
        case FrameKind.binary: {
          const { payloadStart, payloadEnd } = reader;
          counters.messagesReceived++;
          at = reader.frameEnd;
          // The rest of the buffer lives as long as the view: it must not be much.
          if (isOwned && 2 * (payloadEnd - payloadStart) >= bytes.length) {
            apps.ownedMessage(slot, bytes.subarray(payloadStart, payloadEnd), kind === FrameKind.binary);
          } else {
            apps.message(slot, bytes, payloadStart, payloadEnd, kind === FrameKind.binary);
          }
          break;
        }
        case FrameKind.deflatedText:
        case FrameKind.deflatedBinary:
          if (!this.#readDeflated(slot, bytes, kind === FrameKind.deflatedBinary)) {
            // Corrupt, too large or no UTF-8: ws comes to the same, and says so.
            reader.remask(bytes);
            awake.wake(slot, bytes, at, end);
            return;
          }
          at = reader.frameEnd;
          break;
        case FrameKind.ping:
          outbound.send(slot, Opcode.pong, bytes.subarray(reader.payloadStart, reader.payloadEnd));
          at = reader.frameEnd;
          break;
        case FrameKind.pong:
          at = reader.frameEnd;
          break;
        case FrameKind.close:
          // What stands behind a close frame is nobody's message (RFC 6455 §5.5.1).
          lifecycle.answerClose(slot, bytes.subarray(reader.payloadStart, reader.payloadEnd));
          return;
        case FrameKind.incomplete:
          this.keep(slot, bytes, at, end, reader.requiredBytes, at > start);
          return;
        default:
          // A frame for ws may wait asleep, too.
          if (this.#cutter.next(bytes, at, end, false, 0) === FrameCut.incomplete) {
            this.keep(slot, bytes, at, end, this.#cutter.requiredBytes, at > start);
          } else {
            awake.wake(slot, bytes, at, end);
          }
          return;
      }
      // A hook may have closed or ended the connection, even woken its slot for somebody else.
      if (!table.isCurrent(slot, generation)) return;
      if (table.state(slot) !== RowState.open) {
        if (table.state(slot) === RowState.closing) this.receiveClosing(slot, bytes, at, end);
        return;
      }
    }
    table.clearFlag(slot, RowFlag.dirty);
    this.#clearMessageTimeout(slot);
  }

  /** Inflates the message that the reader has found, and gives it to the app. False when it is not a valid one. */
  #readDeflated(slot: number, bytes: Buffer, isBinary: boolean): boolean {
    const { inflater, counters, apps } = this.#core;
    const { payloadStart, payloadEnd } = this.#reader;
    const length = inflater.inflate(bytes, payloadStart, payloadEnd);
    if (length < 0 || (!isBinary && !isUtf8(inflater.output.subarray(0, length)))) return false;
    counters.messagesReceived++;
    counters.add('messages_inflated');
    apps.message(slot, inflater.output, 0, length, isBinary);
    return true;
  }

  #clearMessageTimeout(slot: number): void {
    if (this.#core.timeouts.kind(slot) === TimeoutKind.message) this.#core.timeouts.clear(slot);
  }
}

/** Whether frames of the kind count against `messageRate`: whole messages, pings and pongs. */
function isLimited(kind: FrameKind): boolean {
  return kind !== FrameKind.incomplete && kind !== FrameKind.complex && kind !== FrameKind.close;
}

const EMPTY = Buffer.alloc(0);
