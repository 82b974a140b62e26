/** Bytes from `start` to `end` wait. A block that gathers small frames has room behind `end`. */
export interface OutboundChunk {
  readonly buffer: Buffer;
  start: number;
  end: number;
  next: OutboundChunk | undefined;
}

/** Smaller pieces are copied into blocks: each as a Buffer of its own would cost 200 bytes and one send(2). */
const GATHERED_BYTES = 512;
/** Blocks begin small, for most slow clients miss one frame, and double up to this. */
const FIRST_BLOCK_BYTES = 512;
const MAX_BLOCK_BYTES = 16 * 1024;

/**
 * What waits for one connection, oldest first. Exists only while its kernel buffer is full. The memory that it takes is
 * about the bytes that it counts, however small the frames are; large ones are kept as they are, so that the frame of a
 * broadcast is shared by all the queues that it stands in.
 */
export class OutboundQueue {
  #first: OutboundChunk | undefined;
  #last: OutboundChunk | undefined;
  #bytes = 0;
  #nextBlockBytes = FIRST_BLOCK_BYTES;

  get bytes(): number {
    return this.#bytes;
  }

  /** What is to be sent next. */
  get first(): OutboundChunk | undefined {
    return this.#first;
  }

  /** Adds `bytes` from `start` on. They may be kept: the caller must not change them. */
  add(bytes: Buffer, start: number): void {
    const length = bytes.length - start;
    this.#bytes += length;
    if (length > GATHERED_BYTES) {
      this.#append({ buffer: bytes, start, end: bytes.length, next: undefined });
      return;
    }
    const block = this.#blockFor(length);
    bytes.copy(block.buffer, block.end, start);
    block.end += length;
  }

  /** The kernel has taken so many bytes of the first chunk. */
  taken(count: number): void {
    const first = this.#first;
    if (first === undefined) return;
    this.#bytes -= count;
    first.start += count;
    if (first.start < first.end) return;
    this.#first = first.next;
    if (first.next === undefined) this.#last = undefined;
  }

  /** Drops all but the first chunk, of which a part may have been sent. It ends with a whole frame. */
  keepFirst(): void {
    const first = this.#first;
    if (first === undefined) return;
    first.next = undefined;
    this.#last = first;
    this.#bytes = first.end - first.start;
  }

  #append(chunk: OutboundChunk): void {
    if (this.#last === undefined) this.#first = chunk;
    else this.#last.next = chunk;
    this.#last = chunk;
  }

  /** A block with room for so many bytes. */
  #blockFor(length: number): OutboundChunk {
    const last = this.#last;
    if (last !== undefined && last.buffer.length - last.end >= length) return last;
    const block = {
      buffer: Buffer.allocUnsafeSlow(this.#nextBlockBytes),
      start: 0,
      end: 0,
      next: undefined,
    };
    this.#nextBlockBytes = Math.min(2 * this.#nextBlockBytes, MAX_BLOCK_BYTES);
    this.#append(block);
    return block;
  }
}
