import { constants, inflateRawSync } from 'node:zlib';
import { EMPTY } from '../empty.ts';
import type { InflateCallback, ReceiverInflate, ServerSideWebSocket } from './ws-adapter.ts';

/** What a sender cuts off (RFC 7692 §7.2.1), and the empty final block without which Node's zlib misses the end. */
const TAIL = Buffer.from('0000ffff010000ffff', 'hex');
/** zlib is given room for one byte more than is allowed, so that it stops there before it comes to a later fault. */
const MIN_CHUNK_BYTES = constants.Z_MIN_CHUNK;
const MAX_CHUNK_BYTES = 64 * 1024;
/** More than any message of a spec inflates to. */
const NO_LIMIT_BYTES = 64 * 1024 * 1024;

/** A message as RFC 7692 §7.2.2 wants it inflated, all of it; otherwise what is wrong with it. */
function inflateWhole(payload: Buffer, maxBytes: number): Buffer | 'corrupt' | 'too large' {
  const parts: Buffer[] = [];
  let bytes = 0;
  for (let rest = payload; rest.length > 0;) {
    const input = Buffer.concat([rest, TAIL]);
    let consumed = 0;
    try {
      const maxOutputLength = Math.max(1, maxBytes - bytes);
      const chunkSize = Math.max(MIN_CHUNK_BYTES, Math.min(maxOutputLength + 1, MAX_CHUNK_BYTES));
      const options = { info: true, chunkSize, maxOutputLength };
      // oxlint-disable-next-line no-unsafe-type-assertion -- the types do not know `info`
      const result = inflateRawSync(input, options) as unknown as Inflated;
      parts.push(result.buffer);
      bytes += result.buffer.length;
      consumed = result.engine.bytesWritten;
    } catch (error) {
      return isTooLarge(error) ? 'too large' : 'corrupt';
    }
    if (bytes > maxBytes) return 'too large';
    // The tail must be there for nothing but the end.
    if (consumed > rest.length && (consumed < input.length || flushed(rest) !== parts.at(-1)?.length)) {
      return 'corrupt';
    }
    rest = rest.subarray(consumed);
  }
  return Buffer.concat(parts);
}

/** Whether a message breaks off where it has already come to more than `maxBytes`: either fault may be told. */
export function isCorruptAndTooLarge(payload: Buffer, maxBytes: number): boolean {
  return (
    inflateWhole(payload, maxBytes) === 'too large' && inflateWhole(payload, NO_LIMIT_BYTES) === 'corrupt'
  );
}

/** Bytes that come of the payload without its tail. */
function flushed(payload: Buffer): number {
  return inflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH }).length;
}

interface Inflated {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
}

/** The message that a mended permessage-deflate has been given last, as far as it has come. */
export interface MendedInflate {
  readonly payload: Buffer;
}

/** Of ws's receiver: what makes errors with a close code. */
type ErrorMaker = Pick<ServerSideWebSocket['_receiver'], 'createError'>;

/**
 * The permessage-deflate of ws 8.23.0 ignores what stands behind a final block in a message or fragment, and delivers what
 * it has of a message that ends within a block. Mends an instance, so that what is right can be compared with it: such a
 * message is inflated to its end, or fails with 1007 or 1009.
 */
export function mendInflate(deflate: ReceiverInflate, maxBytes: number, receiver: ErrorMaker): MendedInflate {
  const decompress = deflate.decompress.bind(deflate);
  let payload = EMPTY;
  let inflated = EMPTY;
  let isWithin = false;
  deflate.decompress = (fragment: Buffer, isLast: boolean, callback: InflateCallback) => {
    if (!isWithin) payload = inflated = EMPTY;
    isWithin = !isLast;
    payload = Buffer.concat([payload, fragment]);
    decompress(fragment, isLast, (error, part = EMPTY) => {
      const before = inflated;
      inflated = Buffer.concat([inflated, part]);
      if (error !== null || !isLast) {
        callback(error, part);
        return;
      }
      const whole = inflateWhole(payload, maxBytes);
      // Of a fragment that was delivered too short nothing can be taken back.
      if (Buffer.isBuffer(whole)) callback(null, whole.subarray(before.length));
      else callback(receiver.createError(Error, whole, false, whole === 'corrupt' ? 1007 : 1009, 'MENDED'));
    });
  };
  return {
    get payload() {
      return payload;
    },
  };
}
