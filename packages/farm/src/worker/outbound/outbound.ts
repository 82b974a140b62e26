import { Interest } from '@roost/poller';
import { CloseCode } from '../../api/close-codes.ts';
import {
  encodeFrame,
  encodeTextFrame,
  frameHeaderBytes,
  Opcode,
  writeFrameHeader,
  type DataOpcode,
} from '@roost/websocket';
import { copyOf } from './copy-of.ts';
import type { Core } from '../core.ts';
import { RowFlag, RowState, Transport } from '../rows/connection-table.ts';
import { OutboundMemory } from './outbound-memory.ts';
import { OutboundQueue } from './outbound-queue.ts';

/** A frame up to this size is built in the scratch buffer and, if the kernel takes it, never allocated. */
const SCRATCH_BYTES = 64 * 1024;
const MAX_UTF8_PER_UTF16 = 3;
/** A client that reads as fast as we send must not keep the others waiting for all of a long queue. */
const MAX_FLUSH_BYTES = 256 * 1024;
/** The part of the bound on all queues, one sixteenth, that is made free when it is reached. */
const ROOM_SHARE = 16;
/** Of control frames' opcodes; they are never compressed (RFC 7692 §6.1). */
const CONTROL_BIT = 0x08;

/**
 * Bytes to clients. Without a queue: one send(2) at once. What the kernel does not take starts the row's queue, which
 * is flushed when the poller says writable. The queue is bounded by `maxOutboundBytes`, and the memory of all queues by
 * `maxOutboundBytesPerWorker`; past either the slow-consumer policy applies. A failed send says nothing here: the next
 * wake-up reports the end of the connection.
 */
export class Outbound {
  readonly #core: Core;
  readonly #queues = new Map<number, OutboundQueue>();
  readonly #memory = new OutboundMemory();
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

  constructor(core: Core) {
    this.#core = core;
  }

  /** What all queues hold, in bytes of memory. */
  get heldBytes(): number {
    return this.#memory.bytes;
  }

  bufferedBytes(slot: number): number {
    return this.#queues.get(slot)?.bytes ?? 0;
  }

  /**
   * One message or control frame. A message of `minCompressBytes` to `maxCompressBytes` is compressed where that was
   * agreed on, unless it would not be smaller. False when it was dropped or the connection is not native.
   */
  send(slot: number, opcode: Opcode, data: string | Uint8Array): boolean {
    if (this.#core.table.hasFlag(slot, RowFlag.deflate) && (opcode & CONTROL_BIT) === 0) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- no continuation is ever sent.
      const sent = this.#sendCompressed(slot, opcode as DataOpcode, data);
      if (sent !== undefined) return sent;
    }
    const isQueued = this.#core.table.hasFlag(slot, RowFlag.queued);
    const bytes = isQueued ? -1 : this.#writeScratch(opcode, data);
    if (bytes >= 0) return this.#sendScratch(slot, bytes);
    return this.sendChunk(slot, typeof data === 'string' ? encodeTextFrame(data) : encodeFrame(opcode, data));
  }

  /** Bytes that may be retained: a whole frame, or an HTTP response. */
  sendChunk(slot: number, chunk: Buffer): boolean {
    if (this.#core.table.hasFlag(slot, RowFlag.queued)) return this.#enqueue(slot, chunk, 0, false);
    const sent = this.#core.sockets.send(slot, chunk, 0, chunk.length);
    if (sent === chunk.length) return true;
    if (sent < 0) return false;
    return this.#enqueue(slot, chunk, sent, sent > 0);
  }

  /** An HTTP response, whose body may be in any language; built in the scratch buffer like any short frame. */
  sendHead(slot: number, head: string): void {
    if (head.length * MAX_UTF8_PER_UTF16 > SCRATCH_BYTES) {
      this.sendChunk(slot, Buffer.from(head));
      return;
    }
    this.#sendScratch(slot, this.#scratch.write(head));
  }

  /** A frame of a broadcast of which the kernel took `sent` bytes (0 when the row was skipped for its queue). */
  enqueueBroadcast(slot: number, frame: Buffer, sent: number): boolean {
    return this.#enqueue(slot, frame, sent, sent > 0, true);
  }

  /** The kernel has room again. What it does not get now it asks for again. */
  flush(slot: number): void {
    const { sockets, table, clock } = this.#core;
    const queue = this.#queues.get(slot);
    if (queue === undefined) return;
    let flushed = 0;
    for (let first = queue.first; first !== undefined; first = queue.first) {
      if (flushed >= MAX_FLUSH_BYTES) return;
      const length = Math.min(first.end - first.start, MAX_FLUSH_BYTES);
      const sent = sockets.send(slot, first.buffer, first.start, length);
      if (sent < 0) return;
      // A client that takes bytes lives, although our ping waits behind them.
      if (sent > 0) table.lastSeen[slot] = clock.now;
      queue.taken(sent);
      flushed += sent;
      if (sent < length) return;
    }
    this.release(slot);
    this.#emptied(slot);
  }

  /** FIN after everything that waits. */
  finish(slot: number): void {
    const { table, sockets } = this.#core;
    if (table.hasFlag(slot, RowFlag.finishing)) return;
    table.setFlag(slot, RowFlag.finishing);
    if (!table.hasFlag(slot, RowFlag.queued)) sockets.shutdownWrite(slot);
  }

  /**
   * Drops what waits, except for the rest of a frame that has begun: the stream must stay well-formed. Answers how many
   * frames were dropped.
   */
  discardUnsent(slot: number): number {
    return this.#queues.get(slot)?.keepFirst() ?? 0;
  }

  /** The row ends: nothing of it is kept. */
  release(slot: number): void {
    const queue = this.#queues.get(slot);
    if (queue === undefined) return;
    this.#queues.delete(slot);
    queue.release();
  }

  /** The first so many bytes of the scratch buffer. */
  #sendScratch(slot: number, bytes: number): boolean {
    return this.#sendLent(slot, this.#scratch, 0, bytes);
  }

  /** A frame in memory that is used again; what the kernel does not take is copied. */
  #sendLent(slot: number, buffer: Buffer, start: number, end: number): boolean {
    const sent = this.#core.sockets.send(slot, buffer, start, end - start);
    if (sent === end - start) return true;
    if (sent < 0) return false;
    return this.#enqueue(slot, copyOf(buffer, start + sent, end), 0, sent > 0);
  }

  /** Undefined when the message is to go uncompressed. */
  #sendCompressed(slot: number, opcode: DataOpcode, data: string | Uint8Array): boolean | undefined {
    const { config, deflater, counters, table } = this.#core;
    let payload = data;
    let payloadBytes = data.length;
    if (typeof payload === 'string') {
      // Its length is in UTF-16 units, of each of which UTF-8 makes one to three bytes.
      if (payloadBytes * MAX_UTF8_PER_UTF16 < config.minCompressBytes) return undefined;
      if (payloadBytes > config.maxCompressBytes) return undefined;
      if (payloadBytes * MAX_UTF8_PER_UTF16 <= SCRATCH_BYTES) {
        payloadBytes = this.#scratch.write(payload);
        payload = this.#scratch;
      } else {
        payload = Buffer.from(payload);
        payloadBytes = payload.length;
      }
    }
    if (payloadBytes < config.minCompressBytes || payloadBytes > config.maxCompressBytes) return undefined;
    if (!deflater.deflate(opcode, payload, payloadBytes)) return undefined;
    counters.add('messages_compressed');
    const { output, frameStart, frameEnd } = deflater;
    if (!table.hasFlag(slot, RowFlag.queued)) return this.#sendLent(slot, output, frameStart, frameEnd);
    return this.sendChunk(slot, copyOf(output, frameStart, frameEnd));
  }

  /** Length of the frame in the scratch buffer, or -1 when it might not fit. */
  #writeScratch(opcode: Opcode, data: string | Uint8Array): number {
    const scratch = this.#scratch;
    if (typeof data !== 'string') {
      const total = frameHeaderBytes(data.length) + data.length;
      if (total > SCRATCH_BYTES) return -1;
      scratch.set(data, writeFrameHeader(scratch, 0, opcode, data.length));
      return total;
    }
    if (data.length * MAX_UTF8_PER_UTF16 + 10 > SCRATCH_BYTES) return -1;
    const payloadBytes = Buffer.byteLength(data);
    const headerBytes = writeFrameHeader(scratch, 0, Opcode.text, payloadBytes);
    scratch.write(data, headerBytes, 'utf8');
    return headerBytes + payloadBytes;
  }

  /**
   * `isBegun`: a part of the frame is in the kernel already, so that the rest must follow whatever `maxOutboundBytes`
   * says. `isShared`: the frame of a broadcast.
   */
  #enqueue(slot: number, chunk: Buffer, sent: number, isBegun: boolean, isShared = false): boolean {
    const { table, sockets } = this.#core;
    // Ended while others of the same broadcast were given room.
    if (table.state(slot) === RowState.free) return false;
    // What is said while closing is one frame or one response: bounded by itself.
    if (this.#isOpen(slot) && !this.#hasRoom(slot, chunk, sent, isBegun, isShared)) return false;
    let queue = this.#queues.get(slot);
    if (queue === undefined) {
      queue = new OutboundQueue(this.#memory);
      this.#queues.set(slot, queue);
      table.setFlag(slot, RowFlag.queued);
      table.clearFlag(slot, RowFlag.sendable);
      sockets.setInterest(slot, Interest.readable | Interest.writable);
    }
    queue.add(chunk, sent, isShared);
    return true;
  }

  /** Whether an open row may keep the rest of a frame. If not, the policy has been applied to it. */
  #hasRoom(slot: number, chunk: Buffer, sent: number, isBegun: boolean, isShared: boolean): boolean {
    const { config, counters, lifecycle } = this.#core;
    const bytes = this.bufferedBytes(slot) + chunk.length - sent;
    if (!isBegun && bytes > config.maxOutboundBytes) {
      if (config.slowConsumerPolicy === 'drop') {
        counters.add('messages_dropped_slow_consumer');
      } else {
        counters.add('closed_slow_consumer');
        lifecycle.closeSlowConsumer(slot, 'slow consumer: the outbound queue is full');
      }
      return false;
    }
    const cost = this.#memory.costOf(chunk, isShared);
    const max = config.maxOutboundBytesPerWorker;
    if (this.#memory.bytes + cost <= max) return true;
    if (cost > max / 2) {
      // It is the longest itself: a frame that has begun and is larger than any queue may be.
      this.#endForRoom(slot);
      return false;
    }
    this.#makeRoom(cost);
    // It may have been one of the longest itself.
    return this.#isOpen(slot);
  }

  #isOpen(slot: number): boolean {
    const { table, awake } = this.#core;
    const state = table.state(slot);
    return state === RowState.open || (state === RowState.awake && !awake.isClosing(slot));
  }

  /**
   * All queues together are at their bound. The longest pay, for who is furthest behind is the slowest consumer: to
   * refuse whoever comes next would let a few clients that never read lock out all that are late for a moment. First
   * by the policy, which leaves of each queue what has begun to be sent; if that is not enough, by ending connections. A
   * sixteenth of the bound is made free besides, so that the next sorting is far away.
   */
  #makeRoom(cost: number): void {
    const max = this.#core.config.maxOutboundBytesPerWorker;
    const target = max - Math.floor(max / ROOM_SHARE) - cost;
    this.#payLongestFirst(target, (slot) => this.#shorten(slot));
    this.#payLongestFirst(target, (slot) => this.#endForRoom(slot));
  }

  #payLongestFirst(targetBytes: number, pay: (slot: number) => void): void {
    if (this.#memory.bytes <= targetBytes) return;
    const longestFirst = [...this.#queues].toSorted(([, a], [, b]) => b.bytes - a.bytes);
    for (const [slot] of longestFirst) {
      if (this.#queues.has(slot)) pay(slot);
      if (this.#memory.bytes <= targetBytes) return;
    }
  }

  #shorten(slot: number): void {
    const { config, counters, lifecycle } = this.#core;
    // The close frame of a row that is on its way out must not be dropped.
    if (!this.#isOpen(slot)) return;
    if (config.slowConsumerPolicy === 'drop') {
      counters.add('messages_dropped_outbound_bytes', this.discardUnsent(slot));
    } else {
      counters.add('closed_outbound_bytes');
      lifecycle.closeSlowConsumer(slot, "slow consumer: the server's outbound queues are full");
    }
  }

  #endForRoom(slot: number): void {
    this.#core.counters.add('ended_outbound_bytes');
    this.#core.lifecycle.finishLater(slot, CloseCode.abnormal, '');
  }

  #emptied(slot: number): void {
    const { table, sockets, apps, lifecycle } = this.#core;
    table.clearFlag(slot, RowFlag.queued);
    if (table.state(slot) === RowState.http) return;
    sockets.setInterest(slot, Interest.readable);
    if (table.hasFlag(slot, RowFlag.finishing)) {
      sockets.shutdownWrite(slot);
      // A stream says itself when all has gone.
      if (table.transports[slot] === Transport.native) lifecycle.flushed(slot);
      return;
    }
    const state = table.state(slot);
    if (state === RowState.open || state === RowState.awake) {
      table.setFlag(slot, RowFlag.sendable);
      apps.writable(slot);
    } else {
      lifecycle.flushed(slot);
    }
  }
}
