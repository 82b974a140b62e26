import { FarmError } from '../api/errors.ts';

/**
 * One message on the stream between master and worker:
 *
 *     u32 LE  length of all that follows
 *     u32 LE  length of the JSON
 *     JSON    the message; a Buffer named `payload` inside is replaced by null
 *     bytes   that payload, if there is one
 *
 * `{"type":"drain","drainMs":5}` is `21000000 1d000000 7b2274…`.
 */
const PREFIX_BYTES = 8;
const MAX_ENVELOPE_BYTES = 1024 * 1024 * 1024;

interface Carrier {
  payload?: unknown;
}

/** The object of a message that may carry bytes: the message itself or its `message`. */
function carrierOf(message: unknown): Carrier | undefined {
  if (typeof message !== 'object' || message === null) return undefined;
  if ('payload' in message) return message;
  const inner: unknown = 'message' in message ? message.message : undefined;
  return typeof inner === 'object' && inner !== null && 'payload' in inner ? inner : undefined;
}

export function encodeEnvelope(message: object): Buffer {
  const payload = carrierOf(message)?.payload;
  const bytes = Buffer.isBuffer(payload) ? payload : undefined;
  const json = JSON.stringify(message, (key, value: unknown) => (key === 'payload' && bytes ? null : value));
  const jsonBytes = Buffer.byteLength(json);
  const payloadBytes = bytes?.length ?? 0;
  const envelope = Buffer.allocUnsafeSlow(PREFIX_BYTES + jsonBytes + payloadBytes);
  envelope.writeUInt32LE(PREFIX_BYTES - 4 + jsonBytes + payloadBytes, 0);
  envelope.writeUInt32LE(jsonBytes, 4);
  envelope.write(json, PREFIX_BYTES);
  bytes?.copy(envelope, PREFIX_BYTES + jsonBytes);
  return envelope;
}

/** Cuts a byte stream into messages. A payload is only lent: a view of what was received, to be copied if it is kept. */
export class EnvelopeDecoder {
  #chunks: Buffer[] = [];
  #bytes = 0;

  /** Calls `onMessage` for every message that `chunk` completes. Throws a FarmError when the stream is malformed. */
  write(chunk: Buffer, onMessage: (message: unknown) => void): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    for (;;) {
      if (this.#bytes < PREFIX_BYTES) return;
      const size = this.#peek(PREFIX_BYTES).readUInt32LE(0) + 4;
      if (size < PREFIX_BYTES || size > MAX_ENVELOPE_BYTES) {
        throw new FarmError('FARM_ERR_LINK', `An envelope of ${size} bytes cannot be right.`);
      }
      if (this.#bytes < size) return;
      onMessage(decode(this.#take(size)));
    }
  }

  /** The first `count` bytes as one buffer, left where they are. */
  #peek(count: number): Buffer {
    const first = this.#chunks[0];
    if (first !== undefined && first.length >= count) return first;
    const whole = Buffer.concat(this.#chunks, this.#bytes);
    this.#chunks = [whole];
    return whole;
  }

  #take(count: number): Buffer {
    const whole = this.#peek(count);
    if (whole.length === count) this.#chunks.shift();
    else this.#chunks[0] = whole.subarray(count);
    this.#bytes -= count;
    return whole.subarray(0, count);
  }
}

function decode(envelope: Buffer): unknown {
  const jsonEnd = PREFIX_BYTES + envelope.readUInt32LE(4);
  if (jsonEnd > envelope.length) {
    throw new FarmError('FARM_ERR_LINK', 'An envelope ends before its JSON does.');
  }
  const message: unknown = JSON.parse(envelope.toString('utf8', PREFIX_BYTES, jsonEnd));
  const carrier = carrierOf(message);
  if (carrier !== undefined && carrier.payload === null) {
    carrier.payload = envelope.subarray(jsonEnd);
  }
  return message;
}
