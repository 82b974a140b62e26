import { isUtf8 } from 'node:buffer';
import {
  FrameCut,
  FrameCutter,
  FrameKind,
  Opcode,
  SimpleFrameReader,
  type MessageInflater,
} from '@roost/websocket';
import type { Counters } from '../../api/counters.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { AppHost } from '../app/app-host.ts';
import type { Outbound } from '../outbound/outbound.ts';
import { RowFlag, RowState, type ConnectionTable } from '../rows/connection-table.ts';
import type { MessageRate } from '../rows/message-rate.ts';
import type { Rows } from '../rows/rows.ts';
import type { Awake } from './awake.ts';
import { CLOSE_REASONS, tooManyMessages } from './close-reasons.ts';
import type { Closing } from './closing.ts';
import type { Ending } from './ending.ts';
import type { PartialFrames } from './partial-frames.ts';
import { State } from './state.ts';

export interface OpenParts {
  readonly config: Pick<FarmConfig, 'maxMessageBytes' | 'messageRate'>;
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly counters: Counters;
  /** Undefined without a limit. */
  readonly messageRate: MessageRate | undefined;
  readonly inflater: MessageInflater;
  readonly partialFrames: PartialFrames;
  readonly outbound: Outbound;
  readonly apps: AppHost;
  readonly awake: Awake;
  readonly closing: Closing;
  readonly ending: Ending;
}

/**
 * Connections that are open and sleep: their bytes are read without any object per connection. Whole simple frames go to
 * the app, a frame that has not fully arrived is kept raw, and everything else wakes the connection.
 */
export class Open extends State {
  readonly #messagesPerSecond: number;
  readonly #table: ConnectionTable;
  readonly #counters: Counters;
  readonly #messageRate: MessageRate | undefined;
  readonly #inflater: MessageInflater;
  readonly #partialFrames: PartialFrames;
  readonly #outbound: Outbound;
  readonly #apps: AppHost;
  readonly #awake: Awake;
  readonly #closing: Closing;
  readonly #ending: Ending;
  readonly #reader: SimpleFrameReader;
  readonly #cutter: FrameCutter;

  constructor(parts: OpenParts) {
    super(parts.rows);
    const { maxMessageBytes, messageRate } = parts.config;
    this.#messagesPerSecond = messageRate;
    this.#table = parts.table;
    this.#counters = parts.counters;
    this.#messageRate = parts.messageRate;
    this.#inflater = parts.inflater;
    this.#partialFrames = parts.partialFrames;
    this.#outbound = parts.outbound;
    this.#apps = parts.apps;
    this.#awake = parts.awake;
    this.#closing = parts.closing;
    this.#ending = parts.ending;
    this.#reader = new SimpleFrameReader({ maxMessageBytes });
    this.#cutter = new FrameCutter({ maxMessageBytes });
  }

  receive(slot: number, bytes: Buffer, start: number, end: number): void {
    const partialFrames = this.#partialFrames;
    if (!partialFrames.has(slot)) {
      this.#read(slot, bytes, start, end);
    } else if (partialFrames.isComplete(slot, end - start)) {
      const whole = partialFrames.take(slot, bytes, start, end);
      this.#read(slot, whole, 0, whole.length, whole);
    } else if (!partialFrames.keepMore(slot, bytes, start, end)) {
      this.#closing.beginFor(CLOSE_REASONS.noMemory, slot, bytes, start, end);
    }
  }

  override onPeerEnd(slot: number): void {
    this.#ending.onPeerEnd(slot);
  }

  onTimeout(slot: number): void {
    const { code, reason, counter } = CLOSE_REASONS.messageTimeout;
    this.#counters.add(counter);
    this.#closing.beginOwn(slot, code, reason);
  }

  /** `owned`: the same bytes, when they are nobody else's, so that a large message need not be copied. */
  #read(slot: number, bytes: Buffer, start: number, end: number, owned?: Buffer): void {
    const table = this.#table;
    const messageRate = this.#messageRate;
    const generation = table.generation(slot);
    const reader = this.#reader;
    let at = start;
    reader.acceptsDeflated = table.hasFlag(slot, RowFlag.deflate);
    while (at < end) {
      const kind = reader.next(bytes, at, end);
      if (messageRate !== undefined && isLimited(kind) && !messageRate.take(slot)) {
        // It is the last that is looked at.
        const reason = tooManyMessages(this.#messagesPerSecond);
        this.#closing.beginFor(reason, slot, bytes, reader.frameEnd, end);
        return;
      }
      switch (kind) {
        case FrameKind.text:
        case FrameKind.binary: {
          const { payloadStart, payloadEnd } = reader;
          this.#counters.messagesReceived++;
          at = reader.frameEnd;
          // The rest of the buffer lives as long as the view: it must not be much.
          if (owned !== undefined && 2 * (payloadEnd - payloadStart) >= owned.length) {
            this.#apps.ownedMessage(
              slot,
              owned.subarray(payloadStart, payloadEnd),
              kind === FrameKind.binary,
            );
          } else {
            this.#apps.message(slot, bytes, payloadStart, payloadEnd, kind === FrameKind.binary);
          }
          break;
        }
        case FrameKind.deflatedText:
        case FrameKind.deflatedBinary:
          if (!this.#readDeflated(slot, bytes, kind === FrameKind.deflatedBinary)) {
            // Corrupt, too large or invalid UTF-8: ws comes to the same result, and reports it.
            reader.remask(bytes);
            this.#awake.wake(slot, bytes, at, end);
            return;
          }
          at = reader.frameEnd;
          break;
        case FrameKind.ping:
          this.#outbound.send(slot, Opcode.pong, bytes.subarray(reader.payloadStart, reader.payloadEnd));
          at = reader.frameEnd;
          break;
        case FrameKind.pong:
          at = reader.frameEnd;
          break;
        case FrameKind.close:
          // What stands behind a close frame is not a message of anybody's (RFC 6455 §5.5.1).
          this.#closing.answer(slot, bytes.subarray(reader.payloadStart, reader.payloadEnd));
          return;
        case FrameKind.incomplete:
          if (at > start) this.#partialFrames.completed(slot);
          this.#keep(slot, bytes, at, end, reader.requiredBytes);
          return;
        default:
          if (at > start) this.#partialFrames.completed(slot);
          this.#readComplex(slot, bytes, at, end);
          return;
      }
      // A hook may have closed or ended the connection, and its slot may be another connection's already.
      if (!table.isCurrent(slot, generation)) return;
      if (table.state(slot) !== RowState.open) {
        if (table.state(slot) === RowState.closing) this.#closing.receive(slot, bytes, at, end);
        return;
      }
    }
    this.#partialFrames.completed(slot);
  }

  #keep(slot: number, bytes: Buffer, start: number, end: number, requiredBytes: number): void {
    if (this.#partialFrames.keep(slot, bytes, start, end, requiredBytes)) return;
    this.#closing.beginFor(CLOSE_REASONS.noMemory, slot, bytes, start, end);
  }

  /** A frame for ws. One that is incomplete does not wake the connection yet. */
  #readComplex(slot: number, bytes: Buffer, start: number, end: number): void {
    const cutter = this.#cutter;
    cutter.acceptsDeflated = this.#reader.acceptsDeflated;
    if (cutter.next(bytes, start, end, false, 0) === FrameCut.incomplete) {
      this.#keep(slot, bytes, start, end, cutter.requiredBytes);
    } else {
      this.#awake.wake(slot, bytes, start, end);
    }
  }

  /** Inflates the message that the reader has found, and gives it to the app. False when it is not a valid one. */
  #readDeflated(slot: number, bytes: Buffer, isBinary: boolean): boolean {
    const inflater = this.#inflater;
    const { payloadStart, payloadEnd } = this.#reader;
    const length = inflater.inflate(bytes, payloadStart, payloadEnd);
    if (length < 0 || (!isBinary && !isUtf8(inflater.output.subarray(0, length)))) return false;
    this.#counters.messagesReceived++;
    this.#counters.add('messages_inflated');
    this.#apps.message(slot, inflater.output, 0, length, isBinary);
    return true;
  }
}

/** Whether frames of the kind count against `messageRate`: whole messages, pings and pongs. */
function isLimited(kind: FrameKind): boolean {
  return kind !== FrameKind.incomplete && kind !== FrameKind.complex && kind !== FrameKind.close;
}
