import { MASK_BYTES, MASKED, RSV1 } from './frame-header.ts';

const MAX_7_BITS = 125;
const MAX_16_BITS = 0xff_ff;

/**
 * The fragments of a message that is not complete, as one frame of a client's: not final, and masked with zeros. Whoever reads it
 * stands where the reader of the fragments stood. An intermediary may join fragments so (RFC 6455 §5.4), also compressed ones,
 * of which the first alone says that they are (RFC 7692 §6.1).
 */
export function encodeOpenMessage(
  opcode: number,
  isCompressed: boolean,
  fragments: readonly Uint8Array[],
): Buffer {
  const bytes = fragments.reduce((sum, { length }) => sum + length, 0);
  const lengthBytes = bytes <= MAX_7_BITS ? 0 : bytes <= MAX_16_BITS ? 2 : 8;
  const frame = Buffer.allocUnsafeSlow(2 + lengthBytes + MASK_BYTES + bytes);
  frame[0] = opcode | (isCompressed ? RSV1 : 0);
  if (lengthBytes === 0) frame[1] = MASKED | bytes;
  else if (lengthBytes === 2) {
    frame[1] = MASKED | 126;
    frame.writeUInt16BE(bytes, 2);
  } else {
    frame[1] = MASKED | 127;
    frame.writeBigUInt64BE(BigInt(bytes), 2);
  }
  let at = 2 + lengthBytes;
  frame.fill(0, at, at + MASK_BYTES);
  at += MASK_BYTES;
  for (const fragment of fragments) {
    frame.set(fragment, at);
    at += fragment.length;
  }
  return frame;
}
