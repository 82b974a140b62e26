/**
 * Where a client stands:
 *
 * `free` → `opening` (connecting, or its request is sent) → `greeting` (the 101 has come, and not yet the message that is
 * awaited; left at once when none is) → `open` → `closing` (a close frame was sent; the server's end is awaited) →
 * `free`. Every state may fall back to `free`.
 */
export const ClientState = { free: 0, opening: 1, greeting: 2, open: 3, closing: 4 } as const;

/**
 * The clients of one load process, as columns by slot: no object per connection. `fds`, `generations` and `flags` are
 * shared with the poller.
 *
 * A freed slot is reused under another generation.
 */
export class ClientTable {
  readonly capacity: number;
  /** -1 when the poller does not have the socket. */
  readonly fds: Int32Array;
  readonly generations: Int32Array;
  /** Unused by clients; the poller wants the column. */
  readonly flags: Uint16Array;
  readonly states: Uint8Array;
  /** The number that `{i}` stands for. */
  readonly numbers: Uint32Array;
  /** Messages received since the last reset. */
  readonly received: Uint32Array;
  /** Bytes still to come of a frame too large to keep; see {@link isLastFrame}. */
  readonly payloadLeft: Float64Array;
  /** 1 when that frame ends its message. */
  readonly isLastFrame: Uint8Array;
  /** performance.now() of the last state change, or of the last echo sent. */
  readonly since: Float64Array;
  /** Echoes sent, which number the next one; or the last publication that came. */
  readonly sequences: Uint32Array;
  readonly #free: Int32Array;
  #freeCount: number;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.fds = new Int32Array(capacity).fill(-1);
    this.generations = new Int32Array(capacity);
    this.flags = new Uint16Array(capacity);
    this.states = new Uint8Array(capacity);
    this.numbers = new Uint32Array(capacity);
    this.received = new Uint32Array(capacity);
    this.payloadLeft = new Float64Array(capacity);
    this.isLastFrame = new Uint8Array(capacity);
    this.since = new Float64Array(capacity);
    this.sequences = new Uint32Array(capacity);
    // Descending, so that slots are given out from 0 on.
    this.#free = Int32Array.from({ length: capacity }, (_, index) => capacity - 1 - index);
    this.#freeCount = capacity;
  }

  get size(): number {
    return this.capacity - this.#freeCount;
  }

  /** A slot for a new connection, or -1 when all are taken. */
  take(number: number): number {
    if (this.#freeCount === 0) return -1;
    const slot = this.#free[--this.#freeCount] ?? -1;
    this.fds[slot] = -1;
    this.generations[slot] = ((this.generations[slot] ?? 0) + 1) & 0x7fffffff;
    this.states[slot] = ClientState.opening;
    this.numbers[slot] = number;
    this.received[slot] = 0;
    this.payloadLeft[slot] = 0;
    this.sequences[slot] = 0;
    return slot;
  }

  /** An earlier event of the same batch may have ended the row, or even given its slot to another connection. */
  isCurrent(slot: number, generation: number): boolean {
    return this.generations[slot] === generation && this.states[slot] !== ClientState.free;
  }

  /** Gives a slot back, once. */
  release(slot: number): void {
    this.states[slot] = ClientState.free;
    this.#free[this.#freeCount++] = slot;
  }
}
