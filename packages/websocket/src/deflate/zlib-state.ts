// The leading underscores are Node's.
/* oxlint-disable no-underscore-dangle */
import { constants, createDeflateRaw, createInflateRaw } from 'node:zlib';

// Everything that Roost knows about the inside of node:zlib. The test next to this file lists what is relied on; npm
// itself relies on the same members (minizlib), which is why they have been left alone since Node 10.

/** The native half of a zlib stream (lib/zlib.js, src/node_zlib.cc). */
interface Handle {
  onerror: (message: string, errno: number, code: string) => void;
  reset(): void;
  writeSync(
    flush: number,
    input: Uint8Array,
    inputStart: number,
    inputBytes: number,
    output: Uint8Array,
    outputStart: number,
    outputBytes: number,
  ): void;
}

interface Stream {
  readonly _handle: Handle;
  /** What the last write left over: bytes of output, bytes of input. */
  readonly _writeState: Uint32Array;
}

/** The stream's own output buffer, which is never used here. */
const UNUSED_CHUNK_BYTES = constants.Z_MIN_CHUNK;

/**
 * One raw DEFLATE state (RFC 1951) of zlib, used for message after message within the call, into memory of the caller's.
 *
 * Node's own synchronous calls (inflateRawSync, deflateRawSync) make a stream and a state for each call, grow their
 * output in chunks and copy it: for a message of 2 KB, 8.6 µs of CPU against 3.5 to inflate it, 17 against 13 to deflate.
 */
export class ZlibState {
  readonly #stream: Stream;
  #hasFailed = false;

  private constructor(stream: unknown) {
    // oxlint-disable-next-line no-unsafe-type-assertion -- the members that the test next to this file checks.
    this.#stream = stream as Stream;
    // oxlint-disable-next-line prefer-add-event-listener -- the native half calls just this member.
    this.#stream._handle.onerror = () => {
      this.#hasFailed = true;
    };
  }

  /** Takes every window that a client may have used; about 40 KB. */
  static forInflate(): ZlibState {
    return new ZlibState(createInflateRaw({ chunkSize: UNUSED_CHUNK_BYTES }));
  }

  /** `windowBits`: 9 to 15, what the inflating side needs. About 128 KB and four windows. */
  static forDeflate(level: number, windowBits: number): ZlibState {
    return new ZlibState(createDeflateRaw({ chunkSize: UNUSED_CHUNK_BYTES, level, windowBits }));
  }

  /** Bytes of the output that the last {@link write} left free. 0: there may be more to come. */
  get freeBytes(): number {
    return this.#stream._writeState[0] ?? 0;
  }

  /** Bytes of the input that the last {@link write} left. */
  get leftBytes(): number {
    return this.#stream._writeState[1] ?? 0;
  }

  /** Forgets everything: the next write begins a stream. */
  reset(): void {
    this.#hasFailed = false;
    this.#stream._handle.reset();
  }

  /**
   * Takes `input` from `start` to `end` and flushes all that comes of it into `output`, from `outputStart` to
   * `outputEnd` at most. False when the input is not a DEFLATE stream.
   */
  write(
    input: Uint8Array,
    start: number,
    end: number,
    output: Uint8Array,
    outputStart: number,
    outputEnd: number,
  ): boolean {
    this.#stream._handle.writeSync(
      constants.Z_SYNC_FLUSH,
      input,
      start,
      end - start,
      output,
      outputStart,
      outputEnd - outputStart,
    );
    return !this.#hasFailed;
  }
}
