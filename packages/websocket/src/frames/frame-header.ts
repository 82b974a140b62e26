import { Opcode } from './frame-writer.ts';

// Headers of frames that clients send (RFC 6455 §5.2), for the two readers that look at nothing else:
//
//   first byte    FIN, RSV1 to RSV3, four bits of opcode
//   second byte   the bit of the mask, and the payload's length up to 125; 126 or 127 when the length follows
//   2 or 8 bytes  the length behind 126 or 127
//   4 bytes       the mask
//
// SimpleFrameReader parses headers itself, since it runs for every message.

export const FIN = 0x80;
/** Marks the first frame of a compressed message (RFC 7692 §6). */
export const RSV1 = 0x40;
/** A second byte below this one has no mask, which a client's frame must have (RFC 6455 §5.1). */
export const MASKED = 0x80;
export const MASK_BYTES = 4;

const OPCODE_BITS = 0x0f;
const CONTROL_BIT = 0x08;
const LENGTH_BITS = 0x7f;
const LENGTH_16 = 126;
const MAX_CONTROL_PAYLOAD_BYTES = 125;

/** Whether a frame with this first byte is a control frame. */
export function isControlFrame(first: number): boolean {
  return (first & CONTROL_BIT) !== 0;
}

/**
 * Whether a control frame begins with these two bytes whose length none may have: more than 125 (RFC 6455 §5.5), or half
 * a close code (§5.5.1).
 */
export function hasBadControlLength(first: number, second: number): boolean {
  if (!isControlFrame(first)) return false;
  const length = second & LENGTH_BITS;
  return length > MAX_CONTROL_PAYLOAD_BYTES || (length === 1 && (first & OPCODE_BITS) === Opcode.close);
}

/** Bytes of the header before its mask: 2, 4 or 10. */
export function maskOffset(second: number): number {
  const length = second & LENGTH_BITS;
  if (length < LENGTH_16) return 2;
  return length === LENGTH_16 ? 4 : 10;
}

/**
 * The payload's length, 0 to 2^64, above 2^53 to the nearest number. The frame begins at `start`, and its header must be
 * there up to {@link maskOffset}.
 */
export function readPayloadBytes(bytes: Buffer, start: number): number {
  const length = (bytes[start + 1] ?? 0) & LENGTH_BITS;
  if (length < LENGTH_16) return length;
  if (length === LENGTH_16) return bytes.readUInt16BE(start + 2);
  return bytes.readUInt32BE(start + 2) * 2 ** 32 + bytes.readUInt32BE(start + 6);
}
