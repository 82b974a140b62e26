import { isUtf8 } from 'node:buffer';
import { checkedLimit } from '../errors.ts';
import { isValidCloseCode, Opcode } from './frame-writer.ts';
import { unmask } from './unmask.ts';

/** What {@link SimpleFrameReader.next} found at the start of the bytes. */
export const FrameKind = {
  /** The frame may be simple, but has not wholly arrived. */
  incomplete: 0,
  text: 1,
  binary: 2,
  ping: 3,
  pong: 4,
  /** A close frame with nothing in it, or with a code that may be sent and a reason in valid UTF-8. */
  close: 6,
  /** Not simple: ws must see these bytes, unchanged, and decide. */
  complex: 5,
  /** A whole message whose payload is compressed (RFC 7692 §6); nothing of it is checked but the frame. */
  deflatedText: 7,
  deflatedBinary: 8,
} as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

const MASKED = 0x80;
const RSV1 = 0x40;
const OPCODE_BITS = 0x0f;
const CONTROL_BIT = 0x08;
const LENGTH_BITS = 0x7f;
const LENGTH_16 = 126;
const MAX_CONTROL_PAYLOAD_BYTES = 125;
const MASK_BYTES = 4;

/** Below this size a loop beats the call into the addon, and leaves no view of the payload to be collected. */
const NATIVE_UNMASK_BYTES = 80;

/** First bytes of simple frames, FIN set and RSV clear but for compressed messages; all others are complex. */
const FIRST_BYTE_KINDS: FrameKind[] = Array.from({ length: 256 }, () => FrameKind.complex);
FIRST_BYTE_KINDS[0x80 | Opcode.text] = FrameKind.text;
FIRST_BYTE_KINDS[0x80 | Opcode.binary] = FrameKind.binary;
FIRST_BYTE_KINDS[0x80 | Opcode.ping] = FrameKind.ping;
FIRST_BYTE_KINDS[0x80 | Opcode.pong] = FrameKind.pong;
FIRST_BYTE_KINDS[0x80 | Opcode.close] = FrameKind.close;
FIRST_BYTE_KINDS[0x80 | RSV1 | Opcode.text] = FrameKind.deflatedText;
FIRST_BYTE_KINDS[0x80 | RSV1 | Opcode.binary] = FrameKind.deflatedBinary;

/**
 * Reads simple frames: complete, FIN, no RSV bits, masked, text, binary, ping, pong or close, within the limits, text
 * and close reasons in valid UTF-8; and whole compressed messages, for the caller to inflate. Everything else is
 * `complex`: this reader takes only what is trivially valid and decides nothing hard. It holds no bytes and no state of a connection, so that one serves all of them; the caller must not use it
 * for a connection that has a fragmented message open, nor after a close frame.
 *
 * The fields describe the frame found by the last `next`, and are overwritten by the following one.
 *
 * As in ws, a length need not be encoded in the fewest bytes (RFC 6455 §5.2 says it must).
 */
export class SimpleFrameReader {
  readonly #maxMessageBytes: number;
  readonly #mask = Buffer.alloc(MASK_BYTES);
  #isUnmasked = false;

  /** Whether the connection has agreed on compression, without which RSV1 is complex: a protocol error. */
  acceptsDeflated = false;
  /** Opcode of the simple frame: see {@link Opcode}. */
  opcode = 0;
  /** Index of the first byte of its payload, which is unmasked. */
  payloadStart = 0;
  /** Index after the last byte of its payload. */
  payloadEnd = 0;
  /** Index of the next frame. */
  frameEnd = 0;
  /** After `incomplete`: bytes of the whole frame, its header included, or 0 while its length has not arrived. */
  requiredBytes = 0;

  /** `maxMessageBytes`: larger payloads are complex (ws answers them with 1009). 1 to 2^31 − 1. */
  constructor(options: { readonly maxMessageBytes: number }) {
    this.#maxMessageBytes = checkedLimit('maxMessageBytes', options.maxMessageBytes);
  }

  /**
   * Looks at the frame that begins at `start`; the bytes end before `end`. A simple frame is unmasked in place.
   * After `incomplete` and `complex` the bytes are as the client sent them.
   */
  next(bytes: Buffer, start: number, end: number): FrameKind {
    this.requiredBytes = 0;
    this.#isUnmasked = false;
    const available = end - start;
    if (available < 1) return FrameKind.incomplete;

    const first = bytes[start] ?? 0;
    const kind = FIRST_BYTE_KINDS[first] ?? FrameKind.complex;
    if (kind === FrameKind.complex) return FrameKind.complex;
    if (kind >= FrameKind.deflatedText && !this.acceptsDeflated) return FrameKind.complex;
    if (available < 2) return FrameKind.incomplete;

    const second = bytes[start + 1] ?? 0;
    if (second < MASKED) return FrameKind.complex;
    let payloadBytes = second & LENGTH_BITS;
    let maskStart = start + 2;
    if (payloadBytes > MAX_CONTROL_PAYLOAD_BYTES) {
      if ((first & CONTROL_BIT) !== 0) return FrameKind.complex;
      if (payloadBytes === LENGTH_16) {
        if (available < 4) return FrameKind.incomplete;
        payloadBytes = ((bytes[start + 2] ?? 0) << 8) | (bytes[start + 3] ?? 0);
        maskStart = start + 4;
      } else {
        if (available < 10) return FrameKind.incomplete;
        payloadBytes = bytes.readUInt32BE(start + 2) * 2 ** 32 + bytes.readUInt32BE(start + 6);
        maskStart = start + 10;
      }
    }
    // Half a code: ws refuses it by its length alone, so that its payload must not be waited for.
    if (payloadBytes === 1 && kind === FrameKind.close) return FrameKind.complex;
    // A small limit may lie below what a control frame may carry; it is for messages only.
    if (payloadBytes > this.#maxMessageBytes && (first & CONTROL_BIT) === 0) return FrameKind.complex;

    const payloadStart = maskStart + MASK_BYTES;
    const frameEnd = payloadStart + payloadBytes;
    if (frameEnd > end) {
      this.requiredBytes = frameEnd - start;
      return FrameKind.incomplete;
    }

    this.opcode = first & OPCODE_BITS;
    this.payloadStart = payloadStart;
    this.payloadEnd = frameEnd;
    this.frameEnd = frameEnd;
    const mask = this.#mask;
    mask[0] = bytes[maskStart] ?? 0;
    mask[1] = bytes[maskStart + 1] ?? 0;
    mask[2] = bytes[maskStart + 2] ?? 0;
    mask[3] = bytes[maskStart + 3] ?? 0;
    this.#isUnmasked = true;

    if (payloadBytes < NATIVE_UNMASK_BYTES) {
      const seenBits = xorShort(bytes, payloadStart, frameEnd, mask);
      // ASCII needs no look at its UTF-8.
      if (kind === FrameKind.text && seenBits >= 0x80 && !isUtf8(bytes.subarray(payloadStart, frameEnd))) {
        this.remask(bytes);
        return FrameKind.complex;
      }
    } else {
      const payload = bytes.subarray(payloadStart, frameEnd);
      unmask(payload, mask);
      if (kind === FrameKind.text && !isUtf8(payload)) {
        this.remask(bytes);
        return FrameKind.complex;
      }
    }
    if (kind === FrameKind.close && !isCloseBody(bytes, payloadStart, frameEnd)) {
      this.remask(bytes);
      return FrameKind.complex;
    }
    return kind;
  }

  /**
   * Puts the payload of the last simple frame back as the client sent it, so that ws can be given the frame.
   * `bytes` is the buffer given to `next`, with the frame at the same place. A second call does nothing.
   */
  remask(bytes: Buffer): void {
    if (!this.#isUnmasked) return;
    this.#isUnmasked = false;
    if (this.payloadEnd - this.payloadStart < NATIVE_UNMASK_BYTES) {
      xorShort(bytes, this.payloadStart, this.payloadEnd, this.#mask);
    } else {
      unmask(bytes.subarray(this.payloadStart, this.payloadEnd), this.#mask);
    }
  }
}

/** RFC 6455 §5.5.1: nothing, or a code of two bytes and a reason. */
function isCloseBody(bytes: Buffer, start: number, end: number): boolean {
  if (start === end) return true;
  if (end - start < 2 || !isValidCloseCode(bytes.readUInt16BE(start))) return false;
  return isUtf8(bytes.subarray(start + 2, end));
}

/** XORs in place and answers the bits that were set in any of the resulting bytes. */
function xorShort(bytes: Buffer, start: number, end: number, mask: Buffer): number {
  const mask0 = mask[0] ?? 0;
  const mask1 = mask[1] ?? 0;
  const mask2 = mask[2] ?? 0;
  const mask3 = mask[3] ?? 0;
  let seenBits = 0;
  let index = start;
  // Four at a time take half as long as one.
  for (; index + MASK_BYTES <= end; index += MASK_BYTES) {
    const byte0 = (bytes[index] ?? 0) ^ mask0;
    const byte1 = (bytes[index + 1] ?? 0) ^ mask1;
    const byte2 = (bytes[index + 2] ?? 0) ^ mask2;
    const byte3 = (bytes[index + 3] ?? 0) ^ mask3;
    bytes[index] = byte0;
    bytes[index + 1] = byte1;
    bytes[index + 2] = byte2;
    bytes[index + 3] = byte3;
    seenBits |= byte0 | byte1 | byte2 | byte3;
  }
  for (let at = 0; index < end; index++, at++) {
    const byte = (bytes[index] ?? 0) ^ (mask[at] ?? 0);
    bytes[index] = byte;
    seenBits |= byte;
  }
  return seenBits;
}
