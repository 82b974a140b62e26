import {
  AwakeConnection,
  type AwakeHandlers,
  type AwakeOptions,
  FrameCut,
  FrameCutter,
  InflateFailure,
  type MessageInflater,
} from '@roost/websocket';
import type { Counters } from '../../api/counters.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { AppHost } from '../app/app-host.ts';
import { copyOf } from '../outbound/copy-of.ts';
import type { Outbound } from '../outbound/outbound.ts';
import { RowFlag, RowState, type ConnectionTable } from '../rows/connection-table.ts';
import { EMPTY } from '../rows/empty.ts';
import type { MessageRate } from '../rows/message-rate.ts';
import type { RowOwner } from '../rows/row-owner.ts';
import type { Rows } from '../rows/rows.ts';
import { TimeoutKind, type Timeouts } from '../rows/timeouts.ts';
import { CLOSE_REASONS, tooManyMessages, type CloseReason } from './close-reasons.ts';
import type { Closing } from './closing.ts';
import type { Ending } from './ending.ts';
import type { PartialFrames } from './partial-frames.ts';
import { State } from './state.ts';

export interface AwakeParts {
  readonly config: FarmConfig;
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly counters: Counters;
  readonly timeouts: Timeouts;
  /** Undefined without a limit. */
  readonly messageRate: MessageRate | undefined;
  readonly inflater: MessageInflater;
  readonly partialFrames: PartialFrames;
  readonly outbound: Outbound;
  readonly apps: AppHost;
  readonly closing: Closing;
  readonly ending: Ending;
}

/** What a connection costs while it is awake, beside its fragments: ws's objects, measured with 20,000 of them. */
const AWAKE_BYTES = 2700;

const FIN = 0x80;
const CLOSE = 0x88;

/**
 * Connections that ws reads: from a frame that is not simple until the stream is at a message boundary and has been
 * quiet for `quietMs`, or until another one needs its place. ws writes control frames only; all application data is
 * framed by Outbound, awake or not, so that nothing can interleave.
 *
 * ws is given whole frames, one at a time, each in memory of its own. So what it holds are the fragments of an open
 * message, counted against `maxInboundBytesPerWorker` together with the raw beginnings of frames; and so a connection that
 * we close leaves ws: where in the stream it stands is known without it. Only what ws is about to refuse it is given as
 * it stands, with everything behind it; the end of such a connection is then ws's.
 */
export class Awake extends State implements AwakeHandlers, RowOwner {
  readonly #config: FarmConfig;
  readonly #table: ConnectionTable;
  readonly #counters: Counters;
  readonly #timeouts: Timeouts;
  readonly #messageRate: MessageRate | undefined;
  readonly #inflater: MessageInflater;
  readonly #partialFrames: PartialFrames;
  readonly #outbound: Outbound;
  readonly #apps: AppHost;
  readonly #closing: Closing;
  readonly #ending: Ending;
  readonly #options: AwakeOptions;
  readonly #cutter: FrameCutter;
  readonly #bySlot = new Map<number, AwakeConnection>();
  /** ws ends these. */
  readonly #endedByWs = new Set<number>();
  /** What each is counted with in the inbound buffer. */
  readonly #claimed = new Map<number, number>();
  #released = 0;
  /** A message was completed by the bytes that are being read. */
  #hasCompleted = false;

  constructor(parts: AwakeParts) {
    super(parts.rows);
    const { maxMessageBytes, closeTimeoutMs } = parts.config;
    this.#config = parts.config;
    this.#table = parts.table;
    this.#counters = parts.counters;
    this.#timeouts = parts.timeouts;
    this.#messageRate = parts.messageRate;
    this.#inflater = parts.inflater;
    this.#partialFrames = parts.partialFrames;
    this.#outbound = parts.outbound;
    this.#apps = parts.apps;
    this.#closing = parts.closing;
    this.#ending = parts.ending;
    this.#options = { maxMessageBytes, closeTimeoutMs };
    this.#cutter = new FrameCutter({ maxMessageBytes });
  }

  /** Connections that are awake. */
  get count(): number {
    return this.#bySlot.size;
  }

  /** About how much memory all connections that have gone back to sleep have left to the garbage collector. */
  get discardedBytes(): number {
    return this.#released * AWAKE_BYTES;
  }

  /** Gives an open row to ws, beginning with a frame that was not simple; the bytes are overwritten after this returns. */
  wake(slot: number, bytes: Buffer, start: number, end: number): void {
    if (this.#bySlot.size >= this.#config.maxAwakeConnections && !this.#makeRoom()) {
      this.#closing.beginFor(CLOSE_REASONS.tooManyAwake, slot, bytes, start, end);
      return;
    }
    this.#counters.add('wakes');
    this.rows.enter(slot, RowState.awake);
    const table = this.#table;
    const inflater = this.#inflater;
    const options = table.hasFlag(slot, RowFlag.deflate) ? { ...this.#options, inflater } : this.#options;
    const awake = new AwakeConnection(this, slot, table.generation(slot), options, EMPTY);
    // In its place before it reads: what it says first may be the last.
    this.#bySlot.set(slot, awake);
    this.#read(slot, awake, bytes, start, end);
  }

  receive(slot: number, bytes: Buffer, start: number, end: number): void {
    const awake = this.#bySlot.get(slot);
    // ws has said its last word, or is about to.
    if (awake === undefined || !awake.isOpen) return;
    const partialFrames = this.#partialFrames;
    if (!partialFrames.has(slot)) {
      this.#read(slot, awake, bytes, start, end);
    } else if (partialFrames.isComplete(slot, end - start)) {
      const whole = partialFrames.take(slot, bytes, start, end);
      this.#read(slot, awake, whole, 0, whole.length);
    } else if (!partialFrames.keepMore(slot, bytes, start, end)) {
      this.#close(CLOSE_REASONS.noMemory, slot, bytes, start, end);
    }
  }

  /** ws decides whether the closing handshake was complete. */
  override onPeerEnd(slot: number): void {
    this.#bySlot.get(slot)?.end();
  }

  override onLost(slot: number): void {
    // Nobody is left to get what waits.
    this.#outbound.release(slot);
    this.#table.clearFlag(slot, RowFlag.queued);
    this.#bySlot.get(slot)?.end();
  }

  onTimeout(slot: number, kind: number): void {
    if (kind === TimeoutKind.quiet) {
      this.#hibernate(slot);
    } else if (kind === TimeoutKind.closing) {
      this.#ending.timedOut(slot);
    } else {
      const { code, reason, counter } = CLOSE_REASONS.messageTimeout;
      this.#counters.add(counter);
      if (this.leave(slot)) this.#closing.beginOwn(slot, code, reason);
    }
  }

  /**
   * Takes the row from ws, to be closed like one that sleeps. False when ws ends it: it has received the client's close
   * frame, or refuses what it received.
   */
  leave(slot: number): boolean {
    const awake = this.#bySlot.get(slot);
    if (awake === undefined || this.#endedByWs.has(slot) || !awake.isOpen) return false;
    this.release(slot);
    this.rows.enter(slot, RowState.open);
    return true;
  }

  /**
   * Takes an open row from ws, wherever in a message it stands: the frame with which {@link wake} brings it back there, empty
   * when no message is open. Undefined when ws must keep it.
   */
  lift(slot: number): Buffer | undefined {
    const awake = this.#bySlot.get(slot);
    if (awake === undefined || this.#endedByWs.has(slot)) return undefined;
    const frame = awake.openMessage();
    if (frame === undefined) return undefined;
    this.#timeouts.clear(slot);
    this.release(slot);
    this.rows.enter(slot, RowState.open);
    return frame;
  }

  /** The row, which has no timeout, waits again: for quiet, or for the rest of a message. */
  restart(slot: number): void {
    const awake = this.#bySlot.get(slot);
    if (awake !== undefined) this.#settle(slot, awake);
  }

  release(slot: number): void {
    const awake = this.#bySlot.get(slot);
    if (awake === undefined) return;
    this.#bySlot.delete(slot);
    this.#endedByWs.delete(slot);
    this.#released++;
    awake.destroy();
    this.#count(slot, 0);
  }

  awakeOnWrite(slot: number, generation: number, bytes: Buffer): void {
    if (this.#table.isCurrent(slot, generation)) this.#outbound.sendChunk(slot, bytes);
  }

  awakeOnMessage(slot: number, generation: number, data: Buffer, isBinary: boolean): void {
    if (!this.#table.isCurrent(slot, generation)) return;
    this.#counters.messagesReceived++;
    this.#hasCompleted = true;
    this.#apps.ownedMessage(slot, data, isBinary);
  }

  awakeOnInflate(_slot: number, _generation: number, bytes: number): void {
    if (bytes >= 0) this.#counters.add('messages_inflated');
    else this.#counters.add(bytes === InflateFailure.tooLarge ? 'inflate_bombs' : 'inflate_failures');
  }

  awakeOnPong(): void {
    // Whatever was received has already counted as a sign of life.
  }

  /** ws has said its last: FIN follows what waits. */
  awakeOnFinish(slot: number, generation: number): void {
    if (!this.#table.isCurrent(slot, generation)) return;
    this.#endedByWs.add(slot);
    this.#closing.joinWs(slot);
  }

  awakeOnClose(slot: number, generation: number, code: number, reason: Buffer): void {
    if (!this.#table.isCurrent(slot, generation)) return;
    this.release(slot);
    this.#ending.afterPeerEnd(slot, code, reason.toString());
  }

  /** It has been quiet: back to a bare row. */
  #hibernate(slot: number): void {
    if (this.#bySlot.get(slot)?.isAtBoundary() !== true) return;
    this.release(slot);
    this.rows.enter(slot, RowState.open);
    this.#counters.add('hibernations');
  }

  /** Puts the one to sleep that has been quiet for longest, message boundary and all. False when none is. */
  #makeRoom(): boolean {
    const quiet = this.#timeouts.first(TimeoutKind.quiet);
    if (quiet < 0) return false;
    this.#timeouts.clear(quiet);
    this.#hibernate(quiet);
    return this.#bySlot.size < this.#config.maxAwakeConnections;
  }

  #close(reason: CloseReason, slot: number, bytes: Buffer, start: number, end: number): void {
    if (this.leave(slot)) this.#closing.beginFor(reason, slot, bytes, start, end);
  }

  /** Gives ws frame after frame. */
  #read(slot: number, awake: AwakeConnection, bytes: Buffer, start: number, end: number): void {
    const table = this.#table;
    const messageRate = this.#messageRate;
    const generation = table.generation(slot);
    const cutter = this.#cutter;
    cutter.acceptsDeflated = table.hasFlag(slot, RowFlag.deflate);
    let at = start;
    this.#hasCompleted = false;
    while (at < end && awake.isOpen) {
      const cut = cutter.next(bytes, at, end, awake.isInMessage, awake.messageBytes);
      if (cut === FrameCut.incomplete) {
        if (this.#hasCompleted) this.#partialFrames.completed(slot);
        if (this.#partialFrames.keep(slot, bytes, at, end, cutter.requiredBytes)) return;
        this.#close(CLOSE_REASONS.noMemory, slot, bytes, at, end);
        return;
      }
      if (cut === FrameCut.doubtful) {
        awake.receive(copyOf(bytes, at, end));
        break;
      }
      const { frameEnd } = cutter;
      const first = bytes[at] ?? 0;
      if (messageRate !== undefined && first >= FIN && first !== CLOSE && !messageRate.take(slot)) {
        this.#close(tooManyMessages(this.#config.messageRate), slot, bytes, frameEnd, end);
        return;
      }
      awake.receive(copyOf(bytes, at, frameEnd));
      at = frameEnd;
      // A hook may have closed or ended the connection.
      if (!table.isCurrent(slot, generation)) return;
      if (table.state(slot) !== RowState.awake) {
        if (table.state(slot) === RowState.closing) this.#closing.receive(slot, bytes, at, end);
        return;
      }
      if (!this.#count(slot, awake.bufferedBytes)) {
        this.#close(CLOSE_REASONS.noMemory, slot, bytes, at, end);
        return;
      }
    }
    this.#settle(slot, awake);
  }

  /** Counts what ws holds for the row. False when there is no room for it. */
  #count(slot: number, heldBytes: number): boolean {
    const claimed = this.#claimed.get(slot) ?? 0;
    if (heldBytes === claimed) return true;
    if (!this.#partialFrames.claim(heldBytes - claimed)) return false;
    if (heldBytes === 0) this.#claimed.delete(slot);
    else this.#claimed.set(slot, heldBytes);
    return true;
  }

  /** After whole frames were read: waits for quiet, or for the rest of a message, whose time counts from its first byte. */
  #settle(slot: number, awake: AwakeConnection): void {
    if (this.#endedByWs.has(slot)) return;
    const timeouts = this.#timeouts;
    if (awake.isAtBoundary()) timeouts.set(slot, TimeoutKind.quiet);
    else if (this.#hasCompleted || timeouts.kind(slot) !== TimeoutKind.message) {
      timeouts.set(slot, TimeoutKind.message);
    }
  }
}
