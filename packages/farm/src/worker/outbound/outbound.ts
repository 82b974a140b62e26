import { Interest } from '@roost/poller';
import {
  encodeFrame,
  encodeTextFrame,
  frameHeaderBytes,
  Opcode,
  writeFrameHeader,
  type DataOpcode,
  type MessageDeflater,
} from '@roost/websocket';
import type { Counters } from '../../api/counters.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { Clock } from '../rows/clock.ts';
import { RowFlag, RowState, Transport, type ConnectionTable } from '../rows/connection-table.ts';
import type { RowOwner } from '../rows/row-owner.ts';
import type { Sockets } from '../sockets/sockets.ts';
import { copyOf } from './copy-of.ts';
import { OutboundMemory } from './outbound-memory.ts';
import { OutboundQueue, type OutboundChunk } from './outbound-queue.ts';
import { SlowConsumers, type Remainder } from './slow-consumers.ts';

/** A frame up to this size is built in the scratch buffer and, if the kernel takes it, never allocated. */
const SCRATCH_BYTES = 64 * 1024;
const MAX_UTF8_PER_UTF16 = 3;
/** A client that reads as fast as we send must not keep the others waiting for all of a long queue. */
const MAX_FLUSH_BYTES = 256 * 1024;
/** Of control frames' opcodes; they are never compressed (RFC 7692 §6.1). */
const CONTROL_BIT = 0x08;

export interface OutboundHandlers {
  /** The row's queue is empty. A row that waits for its stream is reported by socketOnFlushed instead. */
  outboundOnEmpty(slot: number): void;
  /** The slow-consumer policy closes the row; its queue is shortened already. */
  outboundOnSlow(slot: number, reason: string): void;
  /** There is no room for the row's queue, which is dropped already: the row is to end. */
  outboundOnNoRoom(slot: number): void;
}

export interface OutboundParts {
  readonly config: Pick<
    FarmConfig,
    | 'maxCompressBytes'
    | 'maxOutboundBytes'
    | 'maxOutboundBytesPerWorker'
    | 'minCompressBytes'
    | 'slowConsumerPolicy'
  >;
  readonly table: ConnectionTable;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly sockets: Pick<Sockets, 'send' | 'setInterest' | 'shutdownWrite'>;
  readonly deflater: MessageDeflater;
}

/**
 * Bytes to clients. Without a queue: one send(2) at once. What the kernel does not take starts the row's queue, which
 * is flushed when the poller reports that the socket is writable. The queue is bounded by `maxOutboundBytes`, and the
 * memory of all queues by `maxOutboundBytesPerWorker`; past either the slow-consumer policy applies. A failed send is not
 * reported here: the next wake-up reports the end of the connection.
 */
export class Outbound implements RowOwner {
  readonly #config: OutboundParts['config'];
  readonly #table: ConnectionTable;
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #sockets: OutboundParts['sockets'];
  readonly #deflater: MessageDeflater;
  readonly #queues = new Map<number, OutboundQueue>();
  readonly #memory = new OutboundMemory();
  readonly #slow: SlowConsumers;
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #handlers!: OutboundHandlers;

  constructor({ config, table, clock, counters, sockets, deflater }: OutboundParts) {
    this.#config = config;
    this.#table = table;
    this.#clock = clock;
    this.#counters = counters;
    this.#sockets = sockets;
    this.#deflater = deflater;
    this.#slow = new SlowConsumers({ config, table, counters, queues: this.#queues, memory: this.#memory });
  }

  /** Given once, before the first row. */
  connect(handlers: OutboundHandlers): void {
    this.#handlers = handlers;
  }

  /** What all queues hold, in bytes of memory. */
  get heldBytes(): number {
    return this.#memory.bytes;
  }

  /** Rows that have a queue. */
  get queueCount(): number {
    return this.#queues.size;
  }

  bufferedBytes(slot: number): number {
    return this.#queues.get(slot)?.bytes ?? 0;
  }

  /**
   * One message or control frame. A message of `minCompressBytes` to `maxCompressBytes` is compressed where that was
   * agreed on, unless it would not be smaller. False when it was dropped.
   */
  send(slot: number, opcode: Opcode, data: string | Uint8Array): boolean {
    if (this.#table.hasFlag(slot, RowFlag.deflate) && (opcode & CONTROL_BIT) === 0) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- no continuation is ever sent.
      const sent = this.#sendCompressed(slot, opcode as DataOpcode, data);
      if (sent !== undefined) return sent;
    }
    const isQueued = this.#table.hasFlag(slot, RowFlag.queued);
    const bytes = isQueued ? -1 : this.#writeScratch(opcode, data);
    if (bytes >= 0) return this.#sendScratch(slot, bytes);
    return this.sendChunk(slot, typeof data === 'string' ? encodeTextFrame(data) : encodeFrame(opcode, data));
  }

  /** Bytes that may be retained: a whole frame, or an HTTP response. */
  sendChunk(slot: number, chunk: Buffer): boolean {
    if (this.#table.hasFlag(slot, RowFlag.queued))
      return this.#enqueue(slot, { bytes: chunk, start: 0, isBegun: false, isShared: false });
    const sent = this.#sockets.send(slot, chunk, 0, chunk.length);
    if (sent === chunk.length) return true;
    if (sent < 0) return false;
    return this.#enqueue(slot, { bytes: chunk, start: sent, isBegun: sent > 0, isShared: false });
  }

  /** An HTTP response, whose body may be in any language; as bytes it is lent. */
  sendHead(slot: number, head: string | Buffer): void {
    if (typeof head !== 'string') {
      this.#sendLent(slot, head, 0, head.length);
      return;
    }
    if (head.length * MAX_UTF8_PER_UTF16 > SCRATCH_BYTES) {
      this.sendChunk(slot, Buffer.from(head));
      return;
    }
    this.#sendScratch(slot, this.#scratch.write(head));
  }

  /** A frame of a broadcast of which the kernel took `sent` bytes (0 when the row was skipped for its queue). */
  enqueueBroadcast(slot: number, frame: Buffer, sent: number): boolean {
    // It may have lost its connection to make room for others of the same broadcast.
    if (!this.#table.isOpen(slot)) return false;
    return this.#keep(slot, { bytes: frame, start: sent, isBegun: sent > 0, isShared: true });
  }

  /**
   * Closes and ends the rows that the slow-consumer policy has condemned. To be called after a series of
   * {@link enqueueBroadcast}; every other send does it itself.
   */
  applyVerdicts(): void {
    if (!this.#slow.hasVerdicts) return;
    for (const { slot, generation, reason } of this.#slow.takeVerdicts()) {
      if (!this.#table.isCurrent(slot, generation)) continue;
      if (reason === undefined) this.#handlers.outboundOnNoRoom(slot);
      else this.#handlers.outboundOnSlow(slot, reason);
    }
  }

  /** The kernel has room again. What it does not get now it asks for again. */
  flush(slot: number): void {
    const sockets = this.#sockets;
    const queue = this.#queues.get(slot);
    if (queue === undefined) return;
    let flushed = 0;
    for (let first = queue.first; first !== undefined; first = queue.first) {
      if (flushed >= MAX_FLUSH_BYTES) return;
      const length = Math.min(first.end - first.start, MAX_FLUSH_BYTES);
      const sent = sockets.send(slot, first.buffer, first.start, length);
      if (sent < 0) return;
      // A client that takes bytes lives, although our ping waits behind them.
      if (sent > 0) this.#table.heard(slot, this.#clock.now);
      queue.taken(sent);
      flushed += sent;
      if (sent < length) return;
    }
    this.release(slot);
    this.#emptied(slot);
  }

  /** What waits for the row, oldest first; undefined when nothing does. Lent. */
  firstChunkOf(slot: number): OutboundChunk | undefined {
    return this.#queues.get(slot)?.first;
  }

  /** Whether what waited for rows elsewhere has room in the memory of all queues. */
  hasRoomFor(bytes: number): boolean {
    return this.#memory.bytes + bytes <= this.#config.maxOutboundBytesPerWorker;
  }

  /** The row is new here, and what waited for it elsewhere waits here: each with its number of frames. The buffers are kept. */
  adopt(slot: number, chunks: readonly (readonly [bytes: Buffer, frames: number])[]): void {
    if (chunks.length === 0) return;
    const queue = this.#begin(slot);
    for (const [bytes, frames] of chunks) queue.adopt(bytes, frames);
  }

  /** FIN after everything that waits. */
  finish(slot: number): void {
    const table = this.#table;
    if (table.hasFlag(slot, RowFlag.finishing)) return;
    table.setFlag(slot, RowFlag.finishing);
    if (!table.hasFlag(slot, RowFlag.queued)) this.#sockets.shutdownWrite(slot);
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
    const sent = this.#sockets.send(slot, buffer, start, end - start);
    if (sent === end - start) return true;
    if (sent < 0) return false;
    const bytes = copyOf(buffer, start + sent, end);
    return this.#enqueue(slot, { bytes, start: 0, isBegun: sent > 0, isShared: false });
  }

  /** Undefined when the message is to go uncompressed. */
  #sendCompressed(slot: number, opcode: DataOpcode, data: string | Uint8Array): boolean | undefined {
    const config = this.#config;
    const deflater = this.#deflater;
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
    this.#counters.add('messages_compressed');
    const { output, frameStart, frameEnd } = deflater;
    if (!this.#table.hasFlag(slot, RowFlag.queued)) return this.#sendLent(slot, output, frameStart, frameEnd);
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

  /** Keeps the rest of a frame, and applies what the slow-consumer policy has decided. */
  #enqueue(slot: number, remainder: Remainder): boolean {
    const isKept = this.#keep(slot, remainder);
    this.applyVerdicts();
    return isKept;
  }

  #keep(slot: number, remainder: Remainder): boolean {
    const table = this.#table;
    // What is said while closing is one frame or one response: bounded by itself.
    if (table.isOpen(slot) && !this.#slow.admits(slot, remainder)) return false;
    const queue = this.#queues.get(slot) ?? this.#begin(slot);
    queue.add(remainder.bytes, remainder.start, remainder.isShared);
    return true;
  }

  #begin(slot: number): OutboundQueue {
    const queue = new OutboundQueue(this.#memory);
    this.#queues.set(slot, queue);
    this.#table.setFlag(slot, RowFlag.queued);
    this.#table.clearFlag(slot, RowFlag.sendable);
    // A row that is not watched, since it moves, is watched with the interests that its queue asks for.
    this.#sockets.setInterest(slot, Interest.readable | Interest.writable);
    return queue;
  }

  #emptied(slot: number): void {
    const table = this.#table;
    table.clearFlag(slot, RowFlag.queued);
    if (table.state(slot) === RowState.http) return;
    this.#sockets.setInterest(slot, Interest.readable);
    if (table.hasFlag(slot, RowFlag.finishing)) {
      this.#sockets.shutdownWrite(slot);
      // A stream reports itself when all has gone.
      if (table.transports[slot] !== Transport.native) return;
    } else if (table.isOpen(slot)) {
      table.setFlag(slot, RowFlag.sendable);
    }
    this.#handlers.outboundOnEmpty(slot);
  }
}
