import { TimeoutKind, type Timeouts } from '../rows/timeouts.ts';
import type { InboundBuffer } from '../rows/inbound-buffer.ts';

/**
 * Frames that have not fully arrived, of connections that are open or awake: kept raw until the rest is there. The time of
 * a message counts from its first byte: more of the same message does not renew it.
 */
export class PartialFrames {
  readonly #inboundBuffer: InboundBuffer;
  readonly #timeouts: Timeouts;

  constructor(inboundBuffer: InboundBuffer, timeouts: Timeouts) {
    this.#inboundBuffer = inboundBuffer;
    this.#timeouts = timeouts;
  }

  /** Whether the row has the beginning of a frame. */
  has(slot: number): boolean {
    return this.#inboundBuffer.length(slot) > 0;
  }

  /** Whether so many more bytes complete what is kept. */
  isComplete(slot: number, addedBytes: number): boolean {
    const inboundBuffer = this.#inboundBuffer;
    return inboundBuffer.length(slot) + addedBytes >= inboundBuffer.required(slot);
  }

  /** A copy of what is kept, and of how many bytes it is the beginning. */
  copyOf(slot: number): readonly [bytes: Buffer, requiredBytes: number] {
    return [this.#inboundBuffer.copyOf(slot), this.#inboundBuffer.required(slot)];
  }

  /** What is kept and the bytes behind it, in memory of their own; nothing is kept any more. */
  take(slot: number, bytes: Buffer, start: number, end: number): Buffer {
    return this.#inboundBuffer.take(slot, bytes, start, end);
  }

  /** Keeps the beginning of a frame of `requiredBytes`. False when there is no room for it. */
  keep(slot: number, bytes: Buffer, start: number, end: number, requiredBytes: number): boolean {
    if (!this.#inboundBuffer.append(slot, bytes, start, end)) return false;
    this.#inboundBuffer.setRequired(slot, requiredBytes);
    if (this.#timeouts.kind(slot) !== TimeoutKind.message) this.#timeouts.set(slot, TimeoutKind.message);
    return true;
  }

  /** Keeps more of the frame whose beginning is kept. False when there is no room for it. */
  keepMore(slot: number, bytes: Buffer, start: number, end: number): boolean {
    return this.keep(slot, bytes, start, end, this.#inboundBuffer.required(slot));
  }

  /** The row is new here, or is read again, with these bytes; a message's time begins anew. False when there is no room. */
  adopt(slot: number, bytes: Buffer, requiredBytes: number): boolean {
    return bytes.length === 0 || this.keep(slot, bytes, 0, bytes.length, requiredBytes);
  }

  /** A message is complete: the time of the next one counts from its own first byte. */
  completed(slot: number): void {
    if (this.#timeouts.kind(slot) === TimeoutKind.message) this.#timeouts.clear(slot);
  }

  /** Counts memory that ws holds for a message, see InboundBuffer.claim. */
  claim(bytes: number): boolean {
    return this.#inboundBuffer.claim(bytes);
  }
}
