import { MAX_BLOCK_BYTES, type OutboundMemory } from './outbound-memory.ts';

/** Bytes from `start` to `end` wait. A block that gathers small frames has room behind `end`. */
export interface OutboundChunk {
  readonly buffer: Buffer;
  /** The buffer may stand in other queues as well. */
  readonly isShared: boolean;
  start: number;
  end: number;
  frames: number;
  next: OutboundChunk | undefined;
}

/** Smaller pieces are copied into blocks: each as a Buffer of its own would cost 560 bytes and one send(2). */
const GATHERED_BYTES = 512;
/** Blocks begin small, for most slow clients miss one frame, and double up to MAX_BLOCK_BYTES. */
const FIRST_BLOCK_BYTES = 512;

/**
 * What waits for one connection, oldest first. Exists only while its kernel buffer is full. The memory that it takes is
 * about the bytes that it counts, however small the frames are; large ones are kept as they are, so that the frame of a
 * broadcast is shared by all the queues that it stands in.
 */
export class OutboundQueue {
  readonly #memory: OutboundMemory;
  #first: OutboundChunk | undefined;
  #last: OutboundChunk | undefined;
  #bytes = 0;
  #nextBlockBytes = FIRST_BLOCK_BYTES;

  constructor(memory: OutboundMemory) {
    this.#memory = memory;
    memory.addQueue();
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What is to be sent next. */
  get first(): OutboundChunk | undefined {
    return this.#first;
  }

  /**
   * Adds the end of a frame, from `start` on. It may be kept: the caller must not change it. `isShared`: other queues
   * may be given the same buffer.
   */
  add(bytes: Buffer, start: number, isShared: boolean): void {
    const length = bytes.length - start;
    this.#bytes += length;
    if (length > GATHERED_BYTES) {
      this.#append({ buffer: bytes, isShared, start, end: bytes.length, frames: 1, next: undefined });
      return;
    }
    const block = this.#blockFor(length);
    bytes.copy(block.buffer, block.end, start);
    block.end += length;
    block.frames++;
  }

  /** Adds what waited in another worker's queue: the end of a frame and whole ones behind it, or whole ones. Kept. */
  adopt(buffer: Buffer, frames: number): void {
    this.#bytes += buffer.length;
    this.#append({ buffer, isShared: false, start: 0, end: buffer.length, frames, next: undefined });
  }

  /** The kernel has taken so many bytes of the first chunk. */
  taken(count: number): void {
    const first = this.#first;
    if (first === undefined) return;
    this.#bytes -= count;
    first.start += count;
    if (first.start < first.end) return;
    this.#memory.remove(first.buffer, first.isShared);
    this.#first = first.next;
    if (first.next === undefined) this.#last = undefined;
  }

  /**
   * Drops all but the first chunk, of which a part may have been sent. It ends with a whole frame. Answers how many
   * frames were dropped.
   */
  keepFirst(): number {
    const first = this.#first;
    if (first === undefined) return 0;
    const dropped = this.#forget(first.next);
    first.next = undefined;
    this.#last = first;
    this.#bytes = first.end - first.start;
    return dropped;
  }

  /** The end of the queue: gives back everything. */
  release(): void {
    this.#forget(this.#first);
    this.#first = this.#last = undefined;
    this.#bytes = 0;
    this.#memory.removeQueue();
  }

  /** Gives back a chunk and all behind it. Answers how many frames these were. */
  #forget(from: OutboundChunk | undefined): number {
    let frames = 0;
    for (let chunk = from; chunk !== undefined; chunk = chunk.next) {
      this.#memory.remove(chunk.buffer, chunk.isShared);
      frames += chunk.frames;
    }
    return frames;
  }

  #append(chunk: OutboundChunk): void {
    this.#memory.add(chunk.buffer, chunk.isShared);
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
      isShared: false,
      start: 0,
      end: 0,
      frames: 0,
      next: undefined,
    };
    this.#nextBlockBytes = Math.min(2 * this.#nextBlockBytes, MAX_BLOCK_BYTES);
    this.#append(block);
    return block;
  }
}
