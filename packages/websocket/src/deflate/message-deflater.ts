import { EMPTY } from '../empty.ts';
import { frameHeaderBytes, writeFrameHeader, type DataOpcode } from '../frames/frame-writer.ts';
import { ZlibState } from './zlib-state.ts';

/**
 * The window that messages are deflated with: 4 KB. Clients that offer server_max_window_bits get it (RFC 7692 §7.1.2.1).
 * Messages up to that size come out the same with a larger one, 64 KB of JSON are 8 % longer and cost half the CPU; and
 * clients that ask for a small one, as Python's websockets does, can be given it.
 */
export const DEFLATE_WINDOW_BITS = 12;

/** An empty stored block, which a flush ends with, and which is not sent (RFC 7692 §7.2.1). */
const TAIL_BYTES = 4;
const MAX_HEADER_BYTES = 10;

/** Output up to this size stays for the next message. */
const KEPT_OUTPUT_BYTES = 64 * 1024;

/**
 * Builds frames of compressed messages (permessage-deflate without context takeover, RFC 7692), each for itself, within
 * the call. One serves all connections of a worker; its zlib state is made for the first message.
 *
 * After {@link deflate} the frame is in {@link output} from `frameStart` to `frameEnd`, until the next call.
 */
export class MessageDeflater {
  readonly #level: number;
  #state: ZlibState | undefined;
  output = EMPTY;
  frameStart = 0;
  frameEnd = 0;

  /** `level`: zlib's, 1 (fast) to 9 (small). */
  constructor(options: { readonly level: number }) {
    this.#level = options.level;
  }

  /** Builds the frame of one message. False when it would not be smaller than uncompressed (ws sends it all the same). */
  deflate(opcode: DataOpcode, payload: Uint8Array, payloadBytes: number): boolean {
    this.#state ??= ZlibState.forDeflate(this.#level, DEFLATE_WINDOW_BITS);
    this.#state.reset();
    const needed = MAX_HEADER_BYTES + payloadBytes + TAIL_BYTES;
    if (needed > this.output.length || this.output.length > KEPT_OUTPUT_BYTES) {
      this.output = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(2 * needed, KEPT_OUTPUT_BYTES)));
    }
    // No more room than the payload itself takes: what fills it is not smaller.
    this.#state.write(payload, 0, payloadBytes, this.output, MAX_HEADER_BYTES, needed);
    if (this.#state.freeBytes === 0) return false;
    const bytes = needed - this.#state.freeBytes - MAX_HEADER_BYTES - TAIL_BYTES;
    this.frameStart = MAX_HEADER_BYTES - frameHeaderBytes(bytes);
    this.frameEnd = MAX_HEADER_BYTES + bytes;
    writeFrameHeader(this.output, this.frameStart, opcode, bytes, true);
    return true;
  }
}
