/** How a frame is written, where it is not as a good sender would write it. */
export interface FrameForm {
  /** Four bytes, or eight hexadecimal digits. Default: the frame is not masked. */
  readonly mask?: string | Uint8Array | undefined;
  /** Bits of the length. Default: the fewest that hold it, as RFC 6455 §5.2 asks for. */
  readonly lengthBits?: 7 | 16 | 64 | undefined;
  /** What the header says instead of the payload's length, cut to the bits that it has. */
  readonly length?: bigint | undefined;
}

/** A frame as a server sends it. */
export interface Frame {
  /** FIN, RSV1 to RSV3 and opcode, such as 0x81 for a whole text. */
  readonly first: number;
  readonly opcode: number;
  /** Part of the bytes that were read. */
  readonly payload: Buffer;
  /** Index of what follows the frame. */
  readonly end: number;
}

const OPCODE_BITS = 0x0f;
const MASKED = 0x80;
const LENGTH_16 = 126;
const LENGTH_64 = 127;

/** Any frame, well-formed or not. `first`: FIN, RSV1 to RSV3 and opcode. A string is UTF-8. */
export function buildFrame(first: number, payload: string | Uint8Array, form: FrameForm = {}): Buffer {
  const bytes = Buffer.from(payload);
  const { mask, length = BigInt(bytes.length) } = form;
  const header = headerOf(first, length, form.lengthBits ?? fewestBits(length));
  if (mask === undefined) return Buffer.concat([header, bytes]);
  const key = typeof mask === 'string' ? Buffer.from(mask, 'hex') : mask;
  if (key.length !== 4) throw new TypeError(`A mask has four bytes, got ${key.length}.`);
  header[1] = MASKED | (header[1] ?? 0);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = (bytes[index] ?? 0) ^ (key[index & 3] ?? 0);
  }
  return Buffer.concat([header, key, bytes]);
}

/** A masked frame, as a client sends it: `clientFrame(0x81, 'Hello', '37fa213d')` is `81 85 37fa213d 7f9f4d5158`. */
export function clientFrame(
  first: number,
  payload: string | Uint8Array,
  mask: string | Uint8Array = 'a1b2c3d4',
): Buffer {
  return buildFrame(first, payload, { mask });
}

/** A whole text message of a client in one frame. */
export function textFrame(text: string): Buffer {
  return clientFrame(0x81, text);
}

/** A frame without a mask, as a server sends it: `serverFrame(0x81, 'Hello')` is `81 05 48656c6c6f`. */
export function serverFrame(first: number, payload: string | Uint8Array): Buffer {
  return buildFrame(first, payload);
}

/** The frame of a server that begins at `at`; undefined when it has not wholly arrived. */
export function readFrame(bytes: Buffer, at = 0): Frame | undefined {
  if (bytes.length < at + 2) return undefined;
  const first = bytes.readUInt8(at);
  const second = bytes.readUInt8(at + 1);
  // RFC 6455 §5.1.
  if ((second & MASKED) !== 0) throw new Error(`A server must not mask, got ${hexOf(bytes, at)}.`);
  const start = at + (second === LENGTH_64 ? 10 : second === LENGTH_16 ? 4 : 2);
  if (bytes.length < start) return undefined;
  const end = start + payloadBytes(bytes, at + 2, second);
  if (bytes.length < end) return undefined;
  return { first, opcode: first & OPCODE_BITS, payload: bytes.subarray(start, end), end };
}

/** All frames of a server in what has arrived. Throws when the last one is not whole. */
export function readFrames(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length; at = frames.at(-1)?.end ?? 0) {
    const frame = readFrame(bytes, at);
    if (frame === undefined) throw new Error(`The last frame is not whole: ${hexOf(bytes, at)}.`);
    frames.push(frame);
  }
  return frames;
}

function fewestBits(length: bigint): 7 | 16 | 64 {
  if (length < LENGTH_16) return 7;
  return length < 65_536n ? 16 : 64;
}

function headerOf(first: number, length: bigint, bits: 7 | 16 | 64): Buffer {
  if (bits === 7) return Buffer.from([first, Number(length & 0x7fn)]);
  const header = Buffer.from([first, bits === 16 ? LENGTH_16 : LENGTH_64, ...Buffer.alloc(bits / 8)]);
  if (bits === 16) header.writeUInt16BE(Number(length & 0xffffn), 2);
  else header.writeBigUInt64BE(BigInt.asUintN(64, length), 2);
  return header;
}

function payloadBytes(bytes: Buffer, at: number, second: number): number {
  if (second < LENGTH_16) return second;
  return second === LENGTH_16 ? bytes.readUInt16BE(at) : Number(bytes.readBigUInt64BE(at));
}

/** The beginning of a frame, for errors. */
function hexOf(bytes: Buffer, at: number): string {
  return bytes.toString('hex', at, at + 32);
}
