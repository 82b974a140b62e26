import { writevSync } from 'node:fs';
import { openStandard } from './descriptor.ts';
import type { StandardDescriptor } from './descriptor.ts';

export interface OutputOptions {
  /** Most bytes that wait, {@link ENTRY_OVERHEAD_BYTES} for each write included. */
  readonly maxBytes: number;
  /** It can be written to again; `lines` were lost since it last could. */
  readonly onResumed: (lines: number) => void;
}

/** What a waiting write costs besides its bytes: a Buffer, and its place in the list. */
const ENTRY_OVERHEAD_BYTES = 128;
/** Of one writev(2), well below IOV_MAX (1,024). */
const MAX_ENTRIES_PER_WRITE = 64;
const FIRST_RETRY_MS = 20;
const MAX_RETRY_MS = 1000;
/** Between two attempts of the last flush. */
const FLUSH_STEP_MS = 10;
const NEW_LINE = 10;
const NOTHING = Buffer.alloc(0);

/**
 * Our stdout or stderr, for a process that serves others: no write waits for the reader, and none fails.
 *
 *     flowing ─► waiting ─► losing
 *        ▲──────────┴──────────┘
 *
 * flowing: nothing waits, and what comes is written at once. waiting: the last write was refused, because there is no reader
 * (EAGAIN) or by an error: a full disk or quota (ENOSPC, EDQUOT), a terminal that has gone (EIO), a pipe without a reader
 * (EPIPE). What comes is kept in order, up to `maxBytes`, and tried again ever more rarely, at least once a second.
 * losing: the bound was reached. What waits is kept, because it says how the trouble began; what comes is counted and
 * dropped, until all that waited is written. So there is one gap, and one line that reports how many lines it has.
 */
export class Output {
  readonly #descriptor: StandardDescriptor;
  readonly #maxBytes: number;
  readonly #onResumed: (lines: number) => void;
  /** The one that is written to; opened by the first write. */
  #opened: number | undefined;
  readonly #waiting: Buffer[] = [];
  /** Index of the first that still waits: a long list is moved only when half of it is written. */
  #first = 0;
  #waitingBytes = 0;
  /** Of urgent lines since something waits. */
  #urgentBytes = 0;
  #isLosing = false;
  /** Since the last report. */
  #untold = 0;
  #linesLost = 0;
  #retryMs = FIRST_RETRY_MS;
  #retryTimer: NodeJS.Timeout | undefined;

  constructor(descriptor: StandardDescriptor, { maxBytes, onResumed }: OutputOptions) {
    this.#descriptor = descriptor;
    this.#maxBytes = maxBytes;
    this.#onResumed = onResumed;
  }

  /** Lines lost since the start. */
  get linesLost(): number {
    return this.#linesLost;
  }

  /** Writes whole lines, each with its end. `isUrgent`, for the few last words: they have the same room for themselves. */
  write(lines: string | Buffer, isUrgent = false): void {
    const bytes = typeof lines === 'string' ? Buffer.from(lines) : lines;
    const size = bytes.length + ENTRY_OVERHEAD_BYTES;
    // A write that is longer than the bound is tried when nothing waits: most often it fits the kernel's buffer.
    const taken = isUrgent ? this.#urgentBytes : this.#waitingBytes;
    const isOver = this.#isWaiting && taken + size > this.#maxBytes;
    if (isOver || (this.#isLosing && !isUrgent)) {
      this.#isLosing = true;
      const count = countLines(bytes);
      this.#linesLost += count;
      this.#untold += count;
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += size;
    if (isUrgent) this.#urgentBytes += size;
    if (this.#retryTimer === undefined) this.#drain();
  }

  /**
   * The process ends: writes what waits, for `ms` at most where there is no reader, and not at all where writing fails.
   * Holds up the event loop.
   */
  flush(ms: number): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    const end = performance.now() + ms;
    const pause = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    while (this.#isWaiting) {
      const problem = this.#writeWaiting();
      if (problem === undefined) this.#resume();
      else if (problem !== 'EAGAIN' || performance.now() >= end) return;
      else Atomics.wait(pause, 0, 0, FLUSH_STEP_MS);
    }
  }

  get #isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  #drain(): void {
    this.#retryTimer = undefined;
    if (this.#writeWaiting() === undefined) {
      this.#retryMs = FIRST_RETRY_MS;
      this.#resume();
      return;
    }
    this.#retryTimer = setTimeout(() => this.#drain(), this.#retryMs).unref();
    this.#retryMs = Math.min(2 * this.#retryMs, MAX_RETRY_MS);
  }

  /** Nothing waits any more. */
  #resume(): void {
    this.#isLosing = false;
    this.#urgentBytes = 0;
    const lines = this.#untold;
    this.#untold = 0;
    if (lines > 0) this.#onResumed(lines);
  }

  /** Until all is written, or until it fails: returns the code of the error then. */
  #writeWaiting(): string | undefined {
    try {
      this.#opened ??= openStandard(this.#descriptor);
      while (this.#isWaiting) {
        const entries = this.#waiting.slice(this.#first, this.#first + MAX_ENTRIES_PER_WRITE);
        const count = writevSync(this.#opened, entries);
        if (count === 0 && entries.some(({ length }) => length > 0)) return 'EAGAIN';
        this.#written(count);
        this.#retryMs = FIRST_RETRY_MS;
      }
      return undefined;
    } catch (error) {
      return error instanceof Error && 'code' in error ? String(error.code) : 'UNKNOWN';
    }
  }

  /** So many bytes of what waits have been taken: the rest of a line must follow them, whatever comes between. */
  #written(count: number): void {
    let left = count;
    let first = this.#first;
    for (let entry = this.#waiting[first]; entry !== undefined; entry = this.#waiting[first]) {
      if (entry.length > left) {
        this.#waiting[first] = entry.subarray(left);
        this.#waitingBytes -= left;
        break;
      }
      left -= entry.length;
      this.#waitingBytes -= entry.length + ENTRY_OVERHEAD_BYTES;
      this.#waiting[first++] = NOTHING;
    }
    const isHalf = 2 * first >= this.#waiting.length;
    if (isHalf) this.#waiting.splice(0, first);
    this.#first = isHalf ? 0 : first;
  }
}

function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(NEW_LINE); at !== -1; at = bytes.indexOf(NEW_LINE, at + 1)) count++;
  return count;
}
