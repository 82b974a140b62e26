import { isUtf8 } from 'node:buffer';

import { MAX_LIMIT } from '../errors.ts';
import {
  FIN,
  hasBadControlLength,
  MASK_BYTES,
  MASKED,
  maskOffset,
  readPayloadBytes,
  RSV1,
} from './frame-header.ts';
import { isValidCloseCode, NO_STATUS_CODE, Opcode } from './frame-writer.ts';

/** The value of {@link ClosingReader.closeCode} when the bytes were not a valid frame. It is never in a frame. */
const ABNORMAL_CODE = 1006;

const RSV = 0x70;

/**
 * Looks for the client's close frame after we have sent ours, and discards everything before it (RFC 6455 §1.4: data
 * that arrives then may be ignored). One reader serves all connections; what it must remember of one between two
 * reads is the caller's: `skipBytes`, and the bytes from `consumed` on, fewer than 131, that are the beginning of a
 * header or of a close frame and must be given again before what follows them.
 */
export class ClosingReader {
  /** Before `read`: whether messages may be compressed, that is, have RSV1 (RFC 7692 §6). */
  acceptsDeflated = false;
  /** After `read`: bytes of a discarded frame that are still to come. 0 to 2^31 − 1. */
  skipBytes = 0;
  /** After `read`: index up to which the bytes were used. */
  consumed = 0;
  /** After `read` answered true: the client's code, 1005 when it gave none, 1006 when it sent nonsense. */
  closeCode = NO_STATUS_CODE;
  /** After `read` answered true: the client's reason, at most 123 bytes of UTF-8. */
  closeReason = '';

  /**
   * Reads `bytes` from `start` to `end`, of which the first `skipBytes` belong to a frame that is being discarded.
   * True when the connection is done: a whole close frame has arrived, or something that is not a client's frame, or a
   * frame of 2 GiB or more. A close frame is waited for to its end: were the socket closed before, the kernel would
   * answer the rest of it with RST.
   */
  read(bytes: Buffer, start: number, end: number, skipBytes: number): boolean {
    this.closeCode = NO_STATUS_CODE;
    this.closeReason = '';
    let at = start;
    let skip = skipBytes;
    for (;;) {
      if (skip > end - at) {
        this.skipBytes = skip - (end - at);
        this.consumed = end;
        return false;
      }
      at += skip;
      skip = 0;
      this.skipBytes = 0;
      this.consumed = at;
      if (end - at < 2) return at < end && this.#isNoFrame(bytes[at] ?? 0) && this.#end(ABNORMAL_CODE);

      const first = bytes[at] ?? 0;
      const second = bytes[at + 1] ?? 0;
      if (this.#isNoFrame(first) || second < MASKED || hasBadControlLength(first, second)) {
        return this.#end(ABNORMAL_CODE);
      }
      const headerBytes = maskOffset(second) + MASK_BYTES;
      if ((first & 0x0f) === Opcode.close) {
        // The length of a control frame is in its second byte.
        const closeBytes = readPayloadBytes(bytes, at);
        if (end - at < headerBytes + closeBytes) return false;
        return this.#readClose(bytes, at + 2, closeBytes);
      }

      if (end - at < headerBytes) return false;
      const payloadBytes = readPayloadBytes(bytes, at);
      if (payloadBytes > MAX_LIMIT) return this.#end(ABNORMAL_CODE);
      at += headerBytes;
      skip = payloadBytes;
    }
  }

  /** The rest of a close frame, from its mask. */
  #readClose(bytes: Buffer, maskStart: number, payloadBytes: number): true {
    if (payloadBytes === 0) return this.#end(NO_STATUS_CODE);
    const payload = Buffer.allocUnsafe(payloadBytes);
    for (let index = 0; index < payloadBytes; index++) {
      payload[index] = (bytes[maskStart + MASK_BYTES + index] ?? 0) ^ (bytes[maskStart + (index & 3)] ?? 0);
    }
    const code = payload.readUInt16BE(0);
    const reason = payload.subarray(2);
    if (!isValidCloseCode(code) || !isUtf8(reason)) return this.#end(ABNORMAL_CODE);
    this.closeReason = reason.toString();
    return this.#end(code);
  }

  #end(closeCode: number): true {
    this.closeCode = closeCode;
    return true;
  }

  /** Whether no frame begins with this byte: RSV bits, a reserved opcode, or a control frame in fragments. */
  #isNoFrame(first: number): boolean {
    const opcode = first & 0x0f;
    const isMessage = opcode === Opcode.text || opcode === Opcode.binary;
    if ((first & (this.acceptsDeflated && isMessage ? RSV & ~RSV1 : RSV)) !== 0) return true;
    if (opcode > Opcode.pong || (opcode > Opcode.binary && opcode < Opcode.close)) return true;
    return opcode >= Opcode.close && (first & FIN) === 0;
  }
}
