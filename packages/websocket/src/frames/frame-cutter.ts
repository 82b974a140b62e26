import { checkedLimit } from '../errors.ts';
import {
  FIN,
  hasBadControlLength,
  isControlFrame,
  MASK_BYTES,
  MASKED,
  maskOffset,
  readPayloadBytes,
  RSV1,
} from './frame-header.ts';
import { Opcode } from './frame-writer.ts';

/** What {@link FrameCutter.next} found at the start of the bytes. */
export const FrameCut = {
  /** Nothing wrong so far, but the frame has not wholly arrived. */
  incomplete: 0,
  /** A whole frame, up to {@link FrameCutter.frameEnd}. */
  whole: 1,
  /** Its header is one that ws may refuse: it must see these bytes without waiting for more. */
  doubtful: 2,
} as const;
export type FrameCut = (typeof FrameCut)[keyof typeof FrameCut];

/**
 * Cuts what a client sends into whole frames for ws. So ws is always between two frames, and what it holds are
 * fragments of a message; the caller keeps the beginning of a frame as raw bytes, however many pieces it comes in. A
 * frame whose header ws would refuse is not waited for: the client is refused as early as by ws alone.
 *
 * Holds no bytes and no state of a connection: one serves all of them. It judges headers only (RFC 6455 §5.2), never a
 * payload.
 */
export class FrameCutter {
  readonly #maxMessageBytes: number;

  /** Whether the connection has agreed on compression, without which RSV1 is doubtful. */
  acceptsDeflated = false;
  /** After `whole`: index of the next frame. */
  frameEnd = 0;
  /** After `incomplete`: bytes of the whole frame, its header included, or 0 while its length has not arrived. */
  requiredBytes = 0;

  /** `maxMessageBytes`: larger messages are doubtful. 1 to 2^31 − 1. */
  constructor(options: { readonly maxMessageBytes: number }) {
    this.#maxMessageBytes = checkedLimit('maxMessageBytes', options.maxMessageBytes);
  }

  /**
   * Looks at the frame that begins at `start`; the bytes end before `end`. `isInMessage`: a fragmented message is open, of
   * which `messageBytes` of payload have come.
   */
  next(bytes: Buffer, start: number, end: number, isInMessage: boolean, messageBytes: number): FrameCut {
    this.requiredBytes = 0;
    const available = end - start;
    // ws, too, looks at the first byte only when it has the second.
    if (available < 2) return FrameCut.incomplete;
    const first = bytes[start] ?? 0;
    const second = bytes[start + 1] ?? 0;
    if (second < MASKED || !this.#isAllowed(first, isInMessage)) return FrameCut.doubtful;
    if (hasBadControlLength(first, second)) return FrameCut.doubtful;
    const maskStart = maskOffset(second);
    if (available < maskStart) return FrameCut.incomplete;
    const payloadBytes = readPayloadBytes(bytes, start);
    // The limit is for messages only: a small one may lie below what a control frame may carry.
    const isTooLarge = !isControlFrame(first) && messageBytes + payloadBytes > this.#maxMessageBytes;
    if (isTooLarge) return FrameCut.doubtful;

    const frameBytes = maskStart + MASK_BYTES + payloadBytes;
    if (frameBytes > available) {
      this.requiredBytes = frameBytes;
      return FrameCut.incomplete;
    }
    this.frameEnd = start + frameBytes;
    return FrameCut.whole;
  }

  /** §5.4: a message begins with text or binary and goes on with continuations; control frames may come in between. */
  #isAllowed(first: number, isInMessage: boolean): boolean {
    switch (first) {
      case FIN | Opcode.close:
      case FIN | Opcode.ping:
      case FIN | Opcode.pong:
        return true;
      case Opcode.text:
      case Opcode.binary:
      case FIN | Opcode.text:
      case FIN | Opcode.binary:
        return !isInMessage;
      case RSV1 | Opcode.text:
      case RSV1 | Opcode.binary:
      case FIN | RSV1 | Opcode.text:
      case FIN | RSV1 | Opcode.binary:
        // RFC 7692 §6.1: of the first frame only.
        return this.acceptsDeflated && !isInMessage;
      case Opcode.continuation:
      case FIN | Opcode.continuation:
        return isInMessage;
      default:
        return false;
    }
  }
}
