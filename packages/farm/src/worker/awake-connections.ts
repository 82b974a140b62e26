import { AwakeConnection, InflateFailure, type AwakeHandlers } from '@roost/websocket';
import { RowFlag, RowState } from './connection-table.ts';
import { copyOf } from './copy-of.ts';
import type { Core } from './core.ts';
import { TimeoutKind } from './timeouts.ts';

/**
 * Connections that ws reads: from a frame that is not simple until the stream is at a message boundary and has been
 * quiet for `quietMs`. ws writes control frames only; all application data is framed by Outbound, awake or not, so that
 * nothing can interleave.
 */
export class AwakeConnections implements AwakeHandlers {
  readonly #core: Core;
  readonly #bySlot = new Map<number, AwakeConnection>();
  readonly #closing = new Set<number>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** A closing handshake has begun, from either side. */
  isClosing(slot: number): boolean {
    return this.#closing.has(slot);
  }

  /** Gives an open row to ws, beginning with the bytes that were not simple; they belong to ws from here on. */
  wake(slot: number, bytes: Buffer): void {
    const { config, table, counters, inbound, inflater } = this.#core;
    if (this.#bySlot.size >= config.maxAwakeConnections) {
      counters.add('wakes_refused');
      inbound.refuse(slot, bytes, 0, bytes.length, 'too many connections are in long messages');
      return;
    }
    counters.add('wakes');
    const generation = table.generation(slot);
    table.states[slot] = RowState.awake;
    const options = {
      maxMessageBytes: config.maxMessageBytes,
      closeTimeoutMs: config.closeTimeoutMs,
      inflater: table.hasFlag(slot, RowFlag.deflate) ? inflater : undefined,
    };
    const awake = new AwakeConnection(this, slot, generation, options, EMPTY);
    // In its place before it reads: what it says first may be the last.
    this.#bySlot.set(slot, awake);
    awake.receive(bytes);
    this.#settle(slot, generation);
  }

  receive(slot: number, bytes: Buffer, start: number, end: number): void {
    const generation = this.#core.table.generation(slot);
    this.#bySlot.get(slot)?.receive(copyOf(bytes, start, end));
    this.#settle(slot, generation);
  }

  /** The client has sent FIN, or the connection failed. */
  end(slot: number): void {
    this.#bySlot.get(slot)?.end();
  }

  /** Begins the closing handshake. False when one had begun. */
  close(slot: number, code: number, reason: string): boolean {
    const awake = this.#bySlot.get(slot);
    if (awake === undefined || this.#closing.has(slot)) return false;
    this.#closing.add(slot);
    this.#core.timeouts.set(slot, TimeoutKind.closing);
    awake.close(code, reason);
    return true;
  }

  /** It has been quiet: back to a bare row, unless a message is under way. */
  hibernate(slot: number): void {
    const { table, counters, timeouts } = this.#core;
    const awake = this.#bySlot.get(slot);
    if (awake === undefined || this.#closing.has(slot)) return;
    if (!awake.isAtBoundary()) {
      timeouts.set(slot, TimeoutKind.message);
      return;
    }
    this.#bySlot.delete(slot);
    awake.destroy();
    table.states[slot] = RowState.open;
    table.clearFlag(slot, RowFlag.dirty);
    counters.add('hibernations');
  }

  /** The row ends. */
  release(slot: number): void {
    const awake = this.#bySlot.get(slot);
    if (awake === undefined) return;
    this.#bySlot.delete(slot);
    this.#closing.delete(slot);
    awake.destroy();
  }

  awakeOnWrite(slot: number, generation: number, bytes: Buffer): void {
    if (this.#core.table.isCurrent(slot, generation)) this.#core.outbound.sendChunk(slot, bytes);
  }

  awakeOnMessage(slot: number, generation: number, data: Buffer, isBinary: boolean): void {
    const { table, counters, apps } = this.#core;
    if (!table.isCurrent(slot, generation) || this.#closing.has(slot)) return;
    counters.messagesReceived++;
    apps.message(slot, data, 0, data.length, isBinary);
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
    if (!this.#closing.has(slot)) {
      this.#closing.add(slot);
      timeouts.set(slot, TimeoutKind.closing);
    }
    lifecycle.leaveChannels(slot);
    table.clearFlag(slot, RowFlag.sendable);
    outbound.finish(slot);
  }

  awakeOnClose(slot: number, generation: number, code: number, reason: Buffer): void {
    if (!this.#core.table.isCurrent(slot, generation)) return;
    this.#core.lifecycle.finish(slot, code, reason.toString());
  }

  /** After bytes were read: waits for quiet, or for the rest of a message, whose time counts from its first byte. */
  #settle(slot: number, generation: number): void {
    const { table, timeouts } = this.#core;
    if (!table.isCurrent(slot, generation) || this.#closing.has(slot)) return;
    const awake = this.#bySlot.get(slot);
    if (awake === undefined) return;
    if (awake.isAtBoundary()) timeouts.set(slot, TimeoutKind.quiet);
    else if (timeouts.kind(slot) !== TimeoutKind.message) timeouts.set(slot, TimeoutKind.message);
  }
}

const EMPTY = Buffer.alloc(0);
