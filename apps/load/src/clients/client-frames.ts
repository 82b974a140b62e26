import { randomBytes } from 'node:crypto';

/** Opcodes of RFC 6455 §5.2. */
export const Opcode = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;

/** The header of one server frame. One object is reused for all. */
export interface FrameHeader {
  isFinal: boolean;
  opcode: number;
  payloadBytes: number;
  /** False: a server must not send this (RFC 6455 §5.1, §5.2, §5.5). */
  isValid: boolean;
}

/**
 * Reads the header of an unmasked frame from `bytes[at … end)` into `header`. Answers its length (2, 4 or 10), or 0
 * when it has not fully arrived. A header of reserved bits or opcodes, of a mask, of a long or fragmented control
 * frame or of 2^53 bytes and more is not valid.
 */
export function readFrameHeader(bytes: Uint8Array, at: number, end: number, header: FrameHeader): number {
  if (end - at < 2) return 0;
  const first = bytes[at] ?? 0;
  const second = bytes[at + 1] ?? 0;
  header.isFinal = (first & 0x80) !== 0;
  header.opcode = first & 0x0f;
  header.isValid = (first & 0x70) === 0 && (second & 0x80) === 0;
  const lengthBytes = second === 127 ? 8 : second === 126 ? 2 : 0;
  if (end - at < 2 + lengthBytes) return header.isValid ? 0 : 2;
  let payloadBytes = second & 0x7f;
  if (lengthBytes > 0) {
    payloadBytes = 0;
    for (let i = 0; i < lengthBytes; i++) payloadBytes = payloadBytes * 256 + (bytes[at + 2 + i] ?? 0);
  }
  header.payloadBytes = payloadBytes;
  const isControl = header.opcode >= Opcode.close;
  if (isControl ? payloadBytes > 125 || !header.isFinal || header.opcode > Opcode.pong : header.opcode > 2) {
    header.isValid = false;
  }
  if (payloadBytes > Number.MAX_SAFE_INTEGER) header.isValid = false;
  return 2 + lengthBytes;
}

/**
 * One whole frame as a client must send it: final and masked. Payloads below 4 GB. The four bytes of the mask stand right
 * before the payload.
 */
export function clientFrame(opcode: number, payload: Uint8Array, mask: Uint8Array = randomBytes(4)): Buffer {
  const lengthBytes = payload.length > 0xffff ? 8 : payload.length > 125 ? 2 : 0;
  const frame = Buffer.allocUnsafeSlow(6 + lengthBytes + payload.length);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (lengthBytes === 0 ? payload.length : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) frame.writeUInt16BE(payload.length, 2);
  if (lengthBytes === 8) frame.writeBigUInt64BE(BigInt(payload.length), 2);
  frame.set(mask, 2 + lengthBytes);
  const start = 6 + lengthBytes;
  for (let i = 0; i < payload.length; i++) frame[start + i] = (payload[i] ?? 0) ^ (mask[i & 3] ?? 0);
  return frame;
}
