import { WebSocketArgumentError } from '../errors.ts';

/** Opcodes of frames (RFC 6455 §5.2). */
export const Opcode = {
  continuation: 0x0,
  text: 0x1,
  binary: 0x2,
  close: 0x8,
  ping: 0x9,
  pong: 0xa,
} as const;
export type Opcode = (typeof Opcode)[keyof typeof Opcode];
/** Of messages, which alone may be compressed. */
export type DataOpcode = typeof Opcode.text | typeof Opcode.binary;

/** What a close frame without a code means; it is never in a frame (RFC 6455 §7.4.1). */
export const NO_STATUS_CODE = 1005;

/** A control frame's payload has at most 125 bytes, two of which are the code (RFC 6455 §5.5). */
const MAX_CLOSE_REASON_BYTES = 123;

const FIN = 0x80;
/** Marks the first frame of a compressed message (RFC 7692 §6). */
const RSV1 = 0x40;
const LENGTH_16 = 126;
const LENGTH_64 = 127;

/** Bytes of an unmasked frame header for a payload of this size: 2, 4 or 10. */
export function frameHeaderBytes(payloadBytes: number): number {
  if (payloadBytes < LENGTH_16) return 2;
  return payloadBytes < 0x1_00_00 ? 4 : 10;
}

/**
 * Writes the header of a final, unmasked frame, as a server sends it, and answers its length in bytes.
 * `82 05`, `82 7e 01 00` or `82 7f 00 00 00 00 00 01 00 00` for a binary payload of 5, 256 or 65,536 bytes; `c2 05` for
 * one of 5 that is compressed.
 */
export function writeFrameHeader(
  target: Buffer,
  offset: number,
  opcode: Opcode,
  payloadBytes: number,
  isCompressed = false,
): number {
  target[offset] = isCompressed ? FIN | RSV1 | opcode : FIN | opcode;
  if (payloadBytes < LENGTH_16) {
    target[offset + 1] = payloadBytes;
    return 2;
  }
  if (payloadBytes < 0x1_00_00) {
    target[offset + 1] = LENGTH_16;
    target[offset + 2] = payloadBytes >>> 8;
    target[offset + 3] = payloadBytes;
    return 4;
  }
  target[offset + 1] = LENGTH_64;
  target.writeUInt32BE(Math.floor(payloadBytes / 2 ** 32), offset + 2);
  target.writeUInt32BE(payloadBytes % 2 ** 32, offset + 6);
  return 10;
}

/**
 * One contiguous frame around a copy of `payload`. The caller owns it and may keep it: it is not a slice of
 * Node's buffer pool, which would pin 8 KiB for every small frame that waits in a queue.
 */
export function encodeFrame(opcode: Opcode, payload: Uint8Array): Buffer {
  const headerBytes = frameHeaderBytes(payload.length);
  const frame = Buffer.allocUnsafeSlow(headerBytes + payload.length);
  writeFrameHeader(frame, 0, opcode, payload.length);
  frame.set(payload, headerBytes);
  return frame;
}

/** One contiguous text frame. Lone surrogates become U+FFFD, as everywhere in Node, so the frame is valid UTF-8. */
export function encodeTextFrame(text: string): Buffer {
  const payloadBytes = Buffer.byteLength(text);
  const headerBytes = frameHeaderBytes(payloadBytes);
  const frame = Buffer.allocUnsafeSlow(headerBytes + payloadBytes);
  writeFrameHeader(frame, 0, Opcode.text, payloadBytes);
  frame.write(text, headerBytes);
  return frame;
}

/** Whether an application may send this close code: 1000–1003, 1007–1014 or 3000–4999, as in ws. */
export function isValidCloseCode(code: number): boolean {
  if (!Number.isInteger(code)) return false;
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}

/** Throws WEBSOCKET_CLOSE_CODE when no application may send this code. */
function checkCloseCode(code: number): void {
  if (isValidCloseCode(code)) return;
  throw new WebSocketArgumentError(
    'WEBSOCKET_CLOSE_CODE',
    `a close code must be 1000 to 1003, 1007 to 1014 or 3000 to 4999, got ${code}. Use 1000 or one of your own from 4000.`,
  );
}

/** The first whole characters of `reason` that fit into a close frame, as UTF-8. At most 123 bytes. */
function cutCloseReason(reason: string): Buffer {
  // A UTF-16 unit gives at least one byte, so that cutting first bounds the work for a long reason.
  const bytes = Buffer.from(reason.slice(0, MAX_CLOSE_REASON_BYTES + 1));
  if (bytes.length <= MAX_CLOSE_REASON_BYTES) return bytes;
  let end = MAX_CLOSE_REASON_BYTES;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

/**
 * A close frame: `88 02 03 e8` for 1000 without a reason. A reason longer than 123 bytes is cut after a whole
 * character. With code 1005 (no status) the payload is empty. Throws WEBSOCKET_CLOSE_CODE for other codes that
 * may not be sent.
 */
export function encodeCloseFrame(code: number, reason: string): Buffer {
  if (code === NO_STATUS_CODE) return encodeFrame(Opcode.close, new Uint8Array(0));
  checkCloseCode(code);
  const reasonBytes = cutCloseReason(reason);
  const frame = Buffer.allocUnsafeSlow(4 + reasonBytes.length);
  writeFrameHeader(frame, 0, Opcode.close, 2 + reasonBytes.length);
  frame.writeUInt16BE(code, 2);
  frame.set(reasonBytes, 4);
  return frame;
}
