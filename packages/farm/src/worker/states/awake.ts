import {
  AwakeConnection,
  type AwakeHandlers,
  type AwakeOptions,
  FrameCut,
  FrameCutter,
  InflateFailure,
} from '@roost/websocket';
import { RowFlag, RowState } from '../rows/connection-table.ts';
import { copyOf } from '../outbound/copy-of.ts';
import type { Core } from '../core.ts';
import { TimeoutKind } from '../rows/timeouts.ts';

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
export class AwakeConnections implements AwakeHandlers {
  readonly #core: Core;
  readonly #options: AwakeOptions;
  readonly #cutter: FrameCutter;
  readonly #bySlot = new Map<number, AwakeConnection>();
  /** ws ends these. */
  readonly #closing = new Set<number>();
  /** What each is counted with in the inbound buffer. */
  readonly #claimed = new Map<number, number>();
  #released = 0;
  /** A message was completed by the bytes that are being read. */
  #hasCompleted = false;

  constructor(core: Core) {
    const { maxMessageBytes, closeTimeoutMs } = core.config;
    this.#core = core;
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

  /** A closing handshake has begun, from either side. */
  isClosing(slot: number): boolean {
    return this.#closing.has(slot);
  }

  /** Gives an open row to ws, beginning with a frame that was not simple; the bytes are overwritten after this returns. */
  wake(slot: number, bytes: Buffer, start: number, end: number): void {
    const { config, table, counters, inbound, inflater } = this.#core;
    if (this.#bySlot.size >= config.maxAwakeConnections && !this.#makeRoom()) {
      counters.add('wakes_refused');
      inbound.refuse(slot, bytes, start, end, 'too many connections are in long messages');
      return;
    }
    counters.add('wakes');
    table.states[slot] = RowState.awake;
    const options = table.hasFlag(slot, RowFlag.deflate) ? { ...this.#options, inflater } : this.#options;
    const awake = new AwakeConnection(this, slot, table.generation(slot), options, EMPTY);
    // In its place before it reads: what it says first may be the last.
    this.#bySlot.set(slot, awake);
    this.#read(slot, awake, bytes, start, end);
  }

  /** Bytes of an awake row; they are overwritten after this returns. */
  receive(slot: number, bytes: Buffer, start: number, end: number): void {
    const { inboundBuffer, inbound } = this.#core;
    const awake = this.#bySlot.get(slot);
    // ws has said its last word, or is about to.
    if (awake === undefined || !awake.isOpen) return;
    const stored = inboundBuffer.length(slot);
    if (stored === 0) {
      this.#read(slot, awake, bytes, start, end);
    } else if (stored + end - start < inboundBuffer.required(slot)) {
      inbound.keep(slot, bytes, start, end, inboundBuffer.required(slot), false);
    } else {
      const whole = inboundBuffer.take(slot, bytes, start, end);
      this.#read(slot, awake, whole, 0, whole.length);
    }
  }

  /** The client has sent FIN, or the connection failed. */
  end(slot: number): void {
    this.#bySlot.get(slot)?.end();
  }

  /**
   * Takes the row from ws, to be closed like one that sleeps. False when ws ends it: it has heard the client's close
   * frame, or refuses what it heard.
   */
  leave(slot: number): boolean {
    const awake = this.#bySlot.get(slot);
    if (awake === undefined || this.#closing.has(slot) || !awake.isOpen) return false;
    this.release(slot);
    this.#core.table.states[slot] = RowState.open;
    return true;
  }

  /** It has been quiet: back to a bare row. */
  hibernate(slot: number): void {
    const { table, counters } = this.#core;
    if (this.#bySlot.get(slot)?.isAtBoundary() !== true) return;
    this.release(slot);
    table.states[slot] = RowState.open;
    table.clearFlag(slot, RowFlag.dirty);
    counters.add('hibernations');
  }

  /** The row is no longer ws's. */
  release(slot: number): void {
    const awake = this.#bySlot.get(slot);
    if (awake === undefined) return;
    this.#bySlot.delete(slot);
    this.#closing.delete(slot);
    this.#released++;
    awake.destroy();
    this.#count(slot, 0);
  }

  awakeOnWrite(slot: number, generation: number, bytes: Buffer): void {
    if (this.#core.table.isCurrent(slot, generation)) this.#core.outbound.sendChunk(slot, bytes);
  }

  awakeOnMessage(slot: number, generation: number, data: Buffer, isBinary: boolean): void {
    const { table, counters, apps } = this.#core;
    if (!table.isCurrent(slot, generation)) return;
    counters.messagesReceived++;
    this.#hasCompleted = true;
    apps.ownedMessage(slot, data, isBinary);
  }

  awakeOnInflate(_slot: number, _generation: number, bytes: number): void {
    const { counters } = this.#core;
    if (bytes >= 0) counters.add('messages_inflated');
    else counters.add(bytes === InflateFailure.tooLarge ? 'inflate_bombs' : 'inflate_failures');
  }

  awakeOnPong(): void {
    // Whatever was received has already counted as a sign of life.
  }

  /** ws has said its last: FIN follows what waits. */
  awakeOnFinish(slot: number, generation: number): void {
    const { table, outbound, lifecycle, timeouts } = this.#core;
    if (!table.isCurrent(slot, generation)) return;
    this.#closing.add(slot);
    timeouts.set(slot, TimeoutKind.closing);
    lifecycle.leaveChannels(slot);
    table.clearFlag(slot, RowFlag.sendable);
    outbound.finish(slot);
  }

  awakeOnClose(slot: number, generation: number, code: number, reason: Buffer): void {
    if (!this.#core.table.isCurrent(slot, generation)) return;
    this.#core.lifecycle.conclude(slot, code, reason.toString());
  }

  /** Puts the one to sleep that has been quiet for longest, message boundary and all. False when none is. */
  #makeRoom(): boolean {
    const { timeouts, config } = this.#core;
    const quiet = timeouts.first(TimeoutKind.quiet);
    if (quiet < 0) return false;
    timeouts.clear(quiet);
    this.hibernate(quiet);
    return this.#bySlot.size < config.maxAwakeConnections;
  }

  /** Gives ws frame after frame. */
  #read(slot: number, awake: AwakeConnection, bytes: Buffer, start: number, end: number): void {
    const { table, inbound, messageRate } = this.#core;
    const generation = table.generation(slot);
    const cutter = this.#cutter;
    cutter.acceptsDeflated = table.hasFlag(slot, RowFlag.deflate);
    let at = start;
    this.#hasCompleted = false;
    while (at < end && awake.isOpen) {
      const cut = cutter.next(bytes, at, end, awake.isInMessage, awake.messageBytes);
      if (cut === FrameCut.incomplete) {
        inbound.keep(slot, bytes, at, end, cutter.requiredBytes, this.#hasCompleted);
        return;
      }
      if (cut === FrameCut.doubtful) {
        awake.receive(copyOf(bytes, at, end));
        break;
      }
      const { frameEnd } = cutter;
      const first = bytes[at] ?? 0;
      if (messageRate !== undefined && first >= FIN && first !== CLOSE && !messageRate.take(slot)) {
        inbound.refuseTooMany(slot, bytes, frameEnd, end);
        return;
      }
      awake.receive(copyOf(bytes, at, frameEnd));
      at = frameEnd;
      // A hook may have closed or ended the connection.
      if (!table.isCurrent(slot, generation)) return;
      if (table.state(slot) !== RowState.awake) {
        if (table.state(slot) === RowState.closing) inbound.receiveClosing(slot, bytes, at, end);
        return;
      }
      if (!this.#count(slot, awake.bufferedBytes)) {
        inbound.refuseForMemory(slot, bytes, at, end);
        return;
      }
    }
    this.#settle(slot, awake);
  }

  /** Counts what ws holds for the row. False when there is no room for it. */
  #count(slot: number, heldBytes: number): boolean {
    const claimed = this.#claimed.get(slot) ?? 0;
    if (heldBytes === claimed) return true;
    if (!this.#core.inboundBuffer.claim(heldBytes - claimed)) return false;
    if (heldBytes === 0) this.#claimed.delete(slot);
    else this.#claimed.set(slot, heldBytes);
    return true;
  }

  /** After whole frames were read: waits for quiet, or for the rest of a message, whose time counts from its first byte. */
  #settle(slot: number, awake: AwakeConnection): void {
    const { timeouts } = this.#core;
    if (this.#closing.has(slot)) return;
    if (awake.isAtBoundary()) timeouts.set(slot, TimeoutKind.quiet);
    else if (this.#hasCompleted || timeouts.kind(slot) !== TimeoutKind.message) {
      timeouts.set(slot, TimeoutKind.message);
    }
  }
}

const EMPTY = Buffer.alloc(0);
