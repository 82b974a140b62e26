const SHORT = 126;
const NO_BYTES = Buffer.alloc(0);

/**
 * Cuts what a server sends to many clients into frames (RFC 6455, §5.2), of at most 65,535 bytes of payload. What has not
 * wholly arrived is kept until the rest is there.
 */
export class ServerFrames {
  /** @type {Map<number, Buffer>} */
  #rests = new Map();
  #onFrame;

  /** @param {(slot: number, first: number, payload: Buffer) => void} onFrame The payload is lent. */
  constructor(onFrame) {
    this.#onFrame = onFrame;
  }

  /** @type {import('./crowd.mjs').OnBytes} */
  read(slot, slab, start, end) {
    const rest = this.#rests.get(slot);
    const bytes =
      rest === undefined ? slab.subarray(start, end) : Buffer.concat([rest, slab.subarray(start, end)]);
    let at = 0;
    for (;;) {
      const length = frameLength(bytes, at);
      if (length === 0 || at + length > bytes.length) break;
      const header = bytes[at + 1] === SHORT ? 4 : 2;
      this.#onFrame(slot, bytes[at], bytes.subarray(at + header, at + length));
      at += length;
    }
    if (at < bytes.length) this.#rests.set(slot, Buffer.concat([NO_BYTES, bytes.subarray(at)]));
    else if (rest !== undefined) this.#rests.delete(slot);
  }
}

/**
 * Of the frame that begins at `at`; 0 when its header has not arrived.
 * @param {Buffer} bytes
 * @param {number} at
 */
function frameLength(bytes, at) {
  if (bytes.length < at + 2) return 0;
  const short = bytes[at + 1];
  if (short < SHORT) return 2 + short;
  if (short > SHORT) throw new Error('a frame is larger than this client reads');
  return bytes.length < at + 4 ? 0 : 4 + bytes.readUInt16BE(at + 2);
}
