/** The largest block in which small frames are gathered. */
export const MAX_BLOCK_BYTES = 16 * 1024;
/** What an OutboundChunk takes on the heap, measured on Node 20 with worker flags. */
const CHUNK_BYTES = 80;
/** What a Buffer takes beside its bytes: its objects on the heap, its backing store's, and what malloc adds. */
const BUFFER_BYTES = 480;
/** An empty OutboundQueue and its entry in the worker's map. */
const QUEUE_BYTES = 160;

/**
 * What the outbound queues of a worker hold together, in bytes of memory: not the bytes that wait, for a buffer is
 * kept whole until the last byte of it is sent, and small ones have an overhead. A shared buffer, the frame of a
 * broadcast, counts once however many queues it stands in, for it is there once.
 */
export class OutboundMemory {
  #bytes = 0;
  /** Shared buffers, with the number of queues that they stand in. */
  readonly #sharers = new Map<Buffer, number>();

  get bytes(): number {
    return this.#bytes;
  }

  /** The most that keeping this buffer, or gathering it, can add. */
  costOf(buffer: Buffer, isShared: boolean): number {
    const length = isShared && this.#sharers.has(buffer) ? 0 : buffer.length;
    return QUEUE_BYTES + CHUNK_BYTES + BUFFER_BYTES + Math.max(length, MAX_BLOCK_BYTES);
  }

  addQueue(): void {
    this.#bytes += QUEUE_BYTES;
  }

  removeQueue(): void {
    this.#bytes -= QUEUE_BYTES;
  }

  add(buffer: Buffer, isShared: boolean): void {
    this.#bytes += CHUNK_BYTES;
    if (isShared) {
      const sharers = this.#sharers.get(buffer) ?? 0;
      this.#sharers.set(buffer, sharers + 1);
      if (sharers > 0) return;
    }
    this.#bytes += BUFFER_BYTES + buffer.length;
  }

  remove(buffer: Buffer, isShared: boolean): void {
    this.#bytes -= CHUNK_BYTES;
    if (isShared) {
      const sharers = this.#sharers.get(buffer) ?? 0;
      if (sharers > 1) {
        this.#sharers.set(buffer, sharers - 1);
        return;
      }
      this.#sharers.delete(buffer);
    }
    this.#bytes -= BUFFER_BYTES + buffer.length;
  }
}
