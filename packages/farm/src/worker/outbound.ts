import { Interest } from '@roost/poller';
import { encodeFrame, encodeTextFrame, frameHeaderBytes, Opcode, writeFrameHeader } from '@roost/websocket';
import { copyOf } from './copy-of.ts';
import type { Core } from './core.ts';
import { RowFlag, RowState } from './connection-table.ts';
import { OutboundQueue } from './outbound-queue.ts';

/** A frame up to this size is built in the scratch buffer and, if the kernel takes it, never allocated. */
const SCRATCH_BYTES = 64 * 1024;
const MAX_UTF8_PER_UTF16 = 3;

/**
 * Bytes to clients. Without a queue: one send(2) at once. What the kernel does not take starts the row's queue, which
 * is flushed when the poller says writable. The queue is bounded by `maxOutboundBytes`; past it the slow-consumer policy
 * applies. A failed send says nothing here: the next wake-up reports the end of the connection.
 */
export class Outbound {
  readonly #core: Core;
  readonly #queues = new Map<number, OutboundQueue>();
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

  constructor(core: Core) {
    this.#core = core;
  }

  bufferedBytes(slot: number): number {
    return this.#queues.get(slot)?.bytes ?? 0;
  }

  /** One message or control frame. False when it was dropped or the connection is not native. */
  send(slot: number, opcode: Opcode, data: string | Uint8Array): boolean {
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
    return this.#enqueue(slot, frame, sent, sent > 0);
  }

  /** The kernel has room again. */
  flush(slot: number): void {
    const queue = this.#queues.get(slot);
    if (queue === undefined) return;
    for (let first = queue.first; first !== undefined; first = queue.first) {
      const length = first.end - first.start;
      const sent = this.#core.sockets.send(slot, first.buffer, first.start, length);
      if (sent < 0) return;
      queue.taken(sent);
      if (sent < length) return;
    }
    this.#queues.delete(slot);
    this.#emptied(slot);
  }

  /** FIN after everything that waits. */
  finish(slot: number): void {
    const { table, sockets } = this.#core;
    if (table.hasFlag(slot, RowFlag.finishing)) return;
    table.setFlag(slot, RowFlag.finishing);
    if (!table.hasFlag(slot, RowFlag.queued)) sockets.shutdownWrite(slot);
  }

  /** Drops what waits, except for the rest of a frame that has begun: the stream must stay well-formed. */
  discardUnsent(slot: number): void {
    this.#queues.get(slot)?.keepFirst();
  }

  /** The row ends: nothing of it is kept. */
  release(slot: number): void {
    this.#queues.delete(slot);
  }

  /** The first so many bytes of the scratch buffer; what the kernel does not take is copied. */
  #sendScratch(slot: number, bytes: number): boolean {
    const sent = this.#core.sockets.send(slot, this.#scratch, 0, bytes);
    if (sent === bytes) return true;
    if (sent < 0) return false;
    return this.#enqueue(slot, copyOf(this.#scratch, sent, bytes), 0, sent > 0);
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

  /** `isBegun`: a part of the frame is in the kernel already, so that the rest must follow whatever the bound says. */
  #enqueue(slot: number, chunk: Buffer, sent: number, isBegun: boolean): boolean {
    const { table, config, counters, lifecycle } = this.#core;
    let queue = this.#queues.get(slot);
    const bytes = chunk.length - sent;
    const isOpen = table.state(slot) === RowState.open || table.state(slot) === RowState.awake;
    // What is said while closing is one frame or one response: bounded by itself.
    if (isOpen && !isBegun && (queue?.bytes ?? 0) + bytes > config.maxOutboundBytes) {
      if (config.slowConsumerPolicy === 'drop') {
        counters.add('messages_dropped_slow_consumer');
        return false;
      }
      counters.add('closed_slow_consumer');
      lifecycle.closeSlowConsumer(slot);
      return false;
    }
    if (queue === undefined) {
      queue = new OutboundQueue();
      this.#queues.set(slot, queue);
      table.setFlag(slot, RowFlag.queued);
      table.clearFlag(slot, RowFlag.sendable);
      this.#core.sockets.setInterest(slot, Interest.readable | Interest.writable);
    }
    queue.add(chunk, sent);
    return true;
  }

  #emptied(slot: number): void {
    const { table, sockets, apps, lifecycle } = this.#core;
    table.clearFlag(slot, RowFlag.queued);
    if (table.state(slot) === RowState.http) return;
    sockets.setInterest(slot, Interest.readable);
    if (table.hasFlag(slot, RowFlag.finishing)) {
      sockets.shutdownWrite(slot);
      lifecycle.flushed(slot);
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
