interface InboundBufferOptions {
  /** Rows of the table: slots are 0 to `capacity − 1`. */
  readonly capacity: number;
  /** The most memory in blocks and claims, all rows together, a block at least; rounded down to whole blocks. */
  readonly maxBytes: number;
  /** Bytes of a block, the least that a row with bytes occupies. Default 256; 8 to 65,536. */
  readonly blockBytes?: number;
}

/** Memory is taken and given back in slabs of about this size. */
const SLAB_BYTES = 64 * 1024;

/**
 * Bytes that arrived before the rest of their request head or frame, for all connections of a worker.
 *
 * They stand raw in blocks of shared slabs, and the blocks of a row are chained through an Int32Array: a row without
 * bytes costs its three columns (12 bytes), and one with a single byte one block, but neither costs an object.
 * Slabs are allocated when they are needed and given back when they are empty, all but one.
 *
 * A row's blocks form a ring, `lastBlock → first → … → lastBlock`, so that one column finds both ends. Blocks and
 * slabs are counted from 0 and blocks are referred to by their number + 1, so that fresh (zeroed, still uncommitted)
 * memory means "none".
 */
export class InboundBuffer {
  readonly blockBytes: number;
  /** What `maxBytes` came to: the most bytes of blocks and claims. */
  readonly maxBytes: number;
  /** Bytes of all slabs ever given back. Their memory returns with the next major garbage collection. */
  freedBytes = 0;

  readonly #lengths: Int32Array;
  readonly #required: Int32Array;
  readonly #lastBlocks: Int32Array;
  /** Of a block in use: the next of its ring. Of a free one: the next free one of its slab. */
  readonly #nextBlocks: Int32Array;

  readonly #maxBlocks: number;
  readonly #blocksPerSlab: number;
  readonly #slabs: (Buffer | undefined)[] = [];
  readonly #freeBlocks: Int32Array;
  readonly #usedPerSlab: Int32Array;
  /** No slab below this one has a free block or is unallocated. */
  #firstSlabWithRoom = 0;
  /** The one empty slab that is kept, or -1. */
  #spareSlab = -1;
  #usedBlocks = 0;
  #claimedBytes = 0;

  constructor(options: InboundBufferOptions) {
    const { capacity, maxBytes, blockBytes = 256 } = options;
    this.blockBytes = blockBytes;
    this.#maxBlocks = Math.floor(maxBytes / blockBytes);
    this.maxBytes = this.#maxBlocks * this.blockBytes;
    this.#blocksPerSlab = Math.min(Math.floor(SLAB_BYTES / blockBytes), this.#maxBlocks);

    this.#lengths = new Int32Array(capacity);
    this.#required = new Int32Array(capacity);
    this.#lastBlocks = new Int32Array(capacity);
    this.#nextBlocks = new Int32Array(this.#maxBlocks + 1);
    const slabCount = Math.ceil(this.#maxBlocks / this.#blocksPerSlab);
    this.#freeBlocks = new Int32Array(slabCount);
    this.#usedPerSlab = new Int32Array(slabCount);
  }

  /** Bytes of the blocks in use and of what was claimed: what `maxBytes` bounds. */
  get usedBytes(): number {
    return this.#usedBlocks * this.blockBytes + this.#claimedBytes;
  }

  /**
   * Counts memory that is held elsewhere, so that one bound holds for all bytes that wait for more. False, with nothing
   * counted, when `maxBytes` forbids it. A negative number gives back, and is always taken.
   */
  claim(bytes: number): boolean {
    if (bytes > 0 && bytes > this.maxBytes - this.usedBytes) return false;
    this.#claimedBytes += bytes;
    return true;
  }

  /** Bytes of memory that the slabs hold at present. */
  get allocatedBytes(): number {
    let count = 0;
    for (const slab of this.#slabs) if (slab !== undefined) count += slab.length;
    return count;
  }

  /** Adds a copy of `bytes` from `start` to `end` to the row. False, with nothing stored, when `maxBytes` forbids it. */
  append(slot: number, bytes: Buffer, start: number, end: number): boolean {
    const added = end - start;
    if (added <= 0) return true;
    const { blockBytes } = this;
    const length = this.#lengths[slot] ?? 0;
    const spare = (blockBytes - (length % blockBytes)) % blockBytes;
    const newBlocks = Math.ceil(Math.max(added - spare, 0) / blockBytes);
    if (newBlocks > 0 && newBlocks * blockBytes > this.maxBytes - this.usedBytes) return false;

    let at = start;
    let last = this.#lastBlocks[slot] ?? 0;
    if (spare > 0) {
      const count = Math.min(spare, added);
      this.#copyIn(last, blockBytes - spare, bytes, at, count);
      at += count;
    }
    while (at < end) {
      const block = this.#takeBlock();
      if (last === 0) {
        this.#nextBlocks[block] = block;
      } else {
        this.#nextBlocks[block] = this.#nextBlocks[last] ?? 0;
        this.#nextBlocks[last] = block;
      }
      last = block;
      const count = Math.min(blockBytes, end - at);
      this.#copyIn(block, 0, bytes, at, count);
      at += count;
    }
    this.#lastBlocks[slot] = last;
    this.#lengths[slot] = length + added;
    return true;
  }

  /** Bytes stored for the row. */
  length(slot: number): number {
    return this.#lengths[slot] ?? 0;
  }

  /** What {@link setRequired} stored for the row; 0 after {@link take} and {@link release}. */
  required(slot: number): number {
    return this.#required[slot] ?? 0;
  }

  /** Remembers how many bytes the row must have before it is worth another look. 0 to 2^31 − 1. */
  setRequired(slot: number, requiredBytes: number): void {
    this.#required[slot] = requiredBytes;
  }

  /**
   * What is stored for the row followed by `extra` from `extraStart` to `extraEnd`, as one buffer that the caller
   * owns. The row is released.
   */
  take(slot: number, extra: Buffer, extraStart: number, extraEnd: number): Buffer {
    const length = this.#lengths[slot] ?? 0;
    const whole = Buffer.allocUnsafeSlow(length + Math.max(extraEnd - extraStart, 0));
    this.#copyOut(slot, whole);
    extra.copy(whole, length, extraStart, extraEnd);
    this.release(slot);
    return whole;
  }

  /** A copy of what is stored for the row, which keeps it. */
  copyOf(slot: number): Buffer {
    const length = this.#lengths[slot] ?? 0;
    const copy = Buffer.allocUnsafeSlow(length);
    this.#copyOut(slot, copy);
    return copy;
  }

  /** Forgets what is stored for the row. Harmless when there is nothing. */
  release(slot: number): void {
    this.#required[slot] = 0;
    if ((this.#lengths[slot] ?? 0) === 0) return;
    const last = this.#lastBlocks[slot] ?? 0;
    let block = this.#nextBlocks[last] ?? 0;
    for (;;) {
      const next = this.#nextBlocks[block] ?? 0;
      this.#giveBlock(block);
      if (block === last) break;
      block = next;
    }
    this.#lastBlocks[slot] = 0;
    this.#lengths[slot] = 0;
  }

  #copyOut(slot: number, target: Buffer): void {
    const length = this.#lengths[slot] ?? 0;
    let block = this.#nextBlocks[this.#lastBlocks[slot] ?? 0] ?? 0;
    for (let at = 0; at < length;) {
      const count = Math.min(this.blockBytes, length - at);
      const offset = this.#offsetOf(block);
      this.#slabOf(block).copy(target, at, offset, offset + count);
      at += count;
      block = this.#nextBlocks[block] ?? 0;
    }
  }

  #copyIn(block: number, offsetInBlock: number, bytes: Buffer, start: number, count: number): void {
    const slab = this.#slabOf(block);
    let target = this.#offsetOf(block) + offsetInBlock;
    if (count > 32) {
      bytes.copy(slab, target, start, start + count);
      return;
    }
    for (let index = start; index < start + count; index++) slab[target++] = bytes[index] ?? 0;
  }

  #slabOf(block: number): Buffer {
    const slab = this.#slabs[Math.floor((block - 1) / this.#blocksPerSlab)];
    if (slab === undefined) throw new Error(`inbound buffer: block ${block} is in use without a slab`);
    return slab;
  }

  #offsetOf(block: number): number {
    return ((block - 1) % this.#blocksPerSlab) * this.blockBytes;
  }

  #takeBlock(): number {
    let index = this.#firstSlabWithRoom;
    while (this.#slabs[index] !== undefined && this.#freeBlocks[index] === 0) index++;
    this.#firstSlabWithRoom = index;
    if (this.#slabs[index] === undefined) this.#allocateSlab(index);

    const block = this.#freeBlocks[index] ?? 0;
    this.#freeBlocks[index] = this.#nextBlocks[block] ?? 0;
    if (index === this.#spareSlab) this.#spareSlab = -1;
    this.#usedPerSlab[index] = (this.#usedPerSlab[index] ?? 0) + 1;
    this.#usedBlocks++;
    return block;
  }

  #giveBlock(block: number): void {
    const index = Math.floor((block - 1) / this.#blocksPerSlab);
    this.#nextBlocks[block] = this.#freeBlocks[index] ?? 0;
    this.#freeBlocks[index] = block;
    this.#usedBlocks--;
    const used = (this.#usedPerSlab[index] ?? 0) - 1;
    this.#usedPerSlab[index] = used;
    if (index < this.#firstSlabWithRoom) this.#firstSlabWithRoom = index;
    if (used > 0) return;
    // One empty slab stays, or a client that sends frames in two pieces would allocate 64 KiB for each. It is the
    // lower one, because blocks are taken from the lowest slab.
    if (this.#spareSlab === -1) {
      this.#spareSlab = index;
      return;
    }
    const highest = Math.max(index, this.#spareSlab);
    this.freedBytes += this.#slabs[highest]?.length ?? 0;
    this.#slabs[highest] = undefined;
    this.#spareSlab = Math.min(index, this.#spareSlab);
  }

  #allocateSlab(index: number): void {
    const firstBlock = index * this.#blocksPerSlab + 1;
    const blockCount = Math.min(this.#blocksPerSlab, this.#maxBlocks - index * this.#blocksPerSlab);
    this.#slabs[index] = Buffer.allocUnsafeSlow(blockCount * this.blockBytes);
    this.#freeBlocks[index] = firstBlock;
    for (let block = firstBlock; block < firstBlock + blockCount - 1; block++) {
      this.#nextBlocks[block] = block + 1;
    }
    this.#nextBlocks[firstBlock + blockCount - 1] = 0;
  }
}
