import { EMPTY } from '../empty.ts';
import { checkedLimit } from '../errors.ts';
import { ZlibState } from './zlib-state.ts';

/** What {@link MessageInflater.inflate} answers instead of a length. */
export const InflateFailure = {
  /** Not a DEFLATE stream, or not a whole one: ws closes 1007. */
  corrupt: -1,
  /** Longer than `maxMessageBytes` when inflated: ws closes 1009. */
  tooLarge: -2,
} as const;

/**
 * What a sender has cut off the end of each message, and the receiver puts back (RFC 7692 §7.2.1, §7.2.2): the end of an
 * empty block. After it come an empty final block and one more byte, which show whether the message was whole: then,
 * and only then, zlib comes to the end of its stream just before that byte, and has made nothing of all this. gorilla
 * does it in the same way. Whatever else a message ends in (a header, a code, stored bytes) would swallow some of it.
 */
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff, 0x00]);
const BEHIND_TAIL_BYTES = 1;

/**
 * Final blocks in a message, after each of which the rest is inflated anew: 0.2 µs each, so that this many take a
 * millisecond at the most. A sender that ends each of its fragments with one has no more of them than fragments.
 */
const MAX_FINAL_BLOCKS = 4096;

/** Output up to this size stays for the next message; more is made for a longer one, and let go after it. */
const KEPT_OUTPUT_BYTES = 64 * 1024 + 1;
const FIRST_OUTPUT_BYTES = 4 * 1024;

/**
 * Inflates compressed messages (permessage-deflate without context takeover, RFC 7692), each for itself, within the
 * call. One serves all connections of a worker; its zlib state is made for the first message.
 *
 * Never writes more than one byte beyond `maxMessageBytes`, whatever a message would inflate to, and never takes a part
 * of a message for the whole: what follows a final block (BFINAL, RFC 7692 §7.2.1) is inflated as well, and a message
 * that ends within a block is corrupt. ws ignores the one and delivers the other. Two messages that no good sender
 * makes are let in, because nothing of them can be missing: one that ends with a final block, without the byte that
 * §7.2.3.4 adds, and one without any bytes.
 */
export class MessageInflater {
  readonly #maxMessageBytes: number;
  #state: ZlibState | undefined;
  #finalBlocks = 0;

  /** The last message, from the first byte on, until the next call. */
  output = EMPTY;

  /** `maxMessageBytes`: the most that a message may inflate to. 1 to 2^31 − 1. */
  constructor(options: { readonly maxMessageBytes: number }) {
    this.#maxMessageBytes = checkedLimit('maxMessageBytes', options.maxMessageBytes);
  }

  /** Inflates the payload of one message, unmasked. Answers the bytes it came to, or an {@link InflateFailure}. */
  inflate(payload: Buffer, start: number, end: number): number {
    if (start === end) return 0;
    const state = this.#begin();
    return this.#finish(state, this.#write(state, payload, start, end, 0));
  }

  /** As {@link inflate}, of a message in fragments. */
  inflateFragments(fragments: readonly Buffer[]): number {
    if (fragments.every((fragment) => fragment.length === 0)) return 0;
    const state = this.#begin();
    let length = 0;
    for (const fragment of fragments) {
      if (fragment.length > 0) length = this.#write(state, fragment, 0, fragment.length, length);
      if (length < 0) return length;
    }
    return this.#finish(state, length);
  }

  #begin(): ZlibState {
    this.#state ??= ZlibState.forInflate();
    this.#state.reset();
    this.#finalBlocks = 0;
    if (this.output.length === 0 || this.output.length > KEPT_OUTPUT_BYTES) this.#resize(FIRST_OUTPUT_BYTES);
    return this.#state;
  }

  /** Takes all of `input`. There is room for at least one byte behind what it came to. */
  #write(state: ZlibState, input: Buffer, start: number, end: number, offset: number): number {
    let length = offset;
    for (let at = start; ;) {
      if (!state.write(input, at, end, this.output, length, this.output.length)) {
        return InflateFailure.corrupt;
      }
      length = this.output.length - state.freeBytes;
      if (length > this.#maxMessageBytes) return InflateFailure.tooLarge;
      at = end - state.leftBytes;
      if (state.freeBytes === 0) {
        this.#resize(this.output.length * 2);
      } else if (at === end) {
        return length;
      } else {
        // A final block has ended the stream, here or with the fragment before.
        if (++this.#finalBlocks > MAX_FINAL_BLOCKS) return InflateFailure.corrupt;
        state.reset();
      }
    }
  }

  /** Puts the end of the message back, and answers its length if that was all that was missing. */
  #finish(state: ZlibState, length: number): number {
    if (length < 0) return length;
    if (!state.write(TAIL, 0, TAIL.length, this.output, length, this.output.length)) {
      return InflateFailure.corrupt;
    }
    const { leftBytes } = state;
    // Nothing was taken: the message has ended with a final block.
    if (leftBytes === TAIL.length) return length;
    const isWhole = leftBytes === BEHIND_TAIL_BYTES && state.freeBytes === this.output.length - length;
    return isWhole ? length : InflateFailure.corrupt;
  }

  /** Room for one byte more than is allowed: its use shows that the message is too large. */
  #resize(bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.min(bytes, this.#maxMessageBytes + 1));
    this.output.copy(larger);
    this.output = larger;
  }
}
