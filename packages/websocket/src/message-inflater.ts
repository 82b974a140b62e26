import { checkedLimit } from './errors.ts';
import { ZlibState } from './zlib-state.ts';

/** What {@link MessageInflater.inflate} answers instead of a length. */
export const InflateFailure = {
  /** No DEFLATE stream: ws closes 1007. */
  corrupt: -1,
  /** Longer than `maxMessageBytes` when inflated: ws closes 1009. */
  tooLarge: -2,
} as const;

/** What a sender has cut off the end of each message, and the receiver puts back (RFC 7692 §7.2.1, §7.2.2). */
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);

/** Output up to this size stays for the next message; more is made for a longer one, and let go after it. */
const KEPT_OUTPUT_BYTES = 64 * 1024 + 1;
const FIRST_OUTPUT_BYTES = 4 * 1024;

/**
 * Inflates compressed messages (permessage-deflate without context takeover, RFC 7692), each for itself, within the
 * call. One serves all connections of a worker; its zlib state is made for the first message.
 *
 * Never writes more than one byte beyond `maxMessageBytes`, whatever a message would inflate to. As in ws, what stands
 * behind a final block (BFINAL) is ignored, and a message may end within a block.
 */
export class MessageInflater {
  readonly #maxMessageBytes: number;
  #state: ZlibState | undefined;

  /** The last message stands here from the first byte, until the next call. */
  output: Buffer = Buffer.alloc(0);

  /** `maxMessageBytes`: the most that a message may inflate to. 1 to 2^31 − 1. */
  constructor(options: { readonly maxMessageBytes: number }) {
    this.#maxMessageBytes = checkedLimit('maxMessageBytes', options.maxMessageBytes);
  }

  /** Inflates the payload of one message, unmasked. Answers the bytes it came to, or an {@link InflateFailure}. */
  inflate(payload: Buffer, start: number, end: number): number {
    const state = this.#begin();
    const length = this.#write(state, payload, start, end, 0);
    return length < 0 ? length : this.#write(state, TAIL, 0, TAIL.length, length);
  }

  /** As {@link inflate}, of a message in fragments. As in ws, the fragment behind one with a final block begins anew. */
  inflateFragments(fragments: readonly Buffer[]): number {
    const state = this.#begin();
    let length = 0;
    for (const fragment of fragments) {
      if (fragment.length === 0) continue;
      const offset = length;
      length = this.#write(state, fragment, 0, fragment.length, offset);
      // Nothing was taken: the stream had ended.
      if (length >= 0 && state.leftBytes === fragment.length) {
        state.reset();
        length = this.#write(state, fragment, 0, fragment.length, offset);
      }
      if (length < 0) return length;
    }
    return this.#write(state, TAIL, 0, TAIL.length, length);
  }

  #begin(): ZlibState {
    this.#state ??= ZlibState.forInflate();
    this.#state.reset();
    if (this.output.length === 0 || this.output.length > KEPT_OUTPUT_BYTES) this.#resize(FIRST_OUTPUT_BYTES);
    return this.#state;
  }

  #write(state: ZlibState, input: Buffer, start: number, end: number, offset: number): number {
    let length = offset;
    for (let at = start; ;) {
      if (!state.write(input, at, end, this.output, length, this.output.length))
        return InflateFailure.corrupt;
      length = this.output.length - state.freeBytes;
      if (length > this.#maxMessageBytes) return InflateFailure.tooLarge;
      if (state.freeBytes > 0) return length;
      at = end - state.leftBytes;
      this.#resize(this.output.length * 2);
    }
  }

  /** Room for one byte more than is allowed: that it is used says that the message is too large. */
  #resize(bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.min(bytes, this.#maxMessageBytes + 1));
    this.output.copy(larger);
    this.output = larger;
  }
}
