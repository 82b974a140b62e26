import { constants, inflateRawSync } from 'node:zlib';
import { readFrame } from '@roost/testing';

const HEAD_END = '\r\n\r\n';
const RSV1 = 0x40;
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);

/**
 * What a client received, with every compressed message inflated: two servers may compress differently, and one of them
 * not at all. Frames are written as a first byte without RSV1, a length of four bytes, and the payload.
 */
export function inflateReceived(received: Buffer): Buffer {
  const headEnd = received.indexOf(HEAD_END) + HEAD_END.length;
  if (!received.subarray(0, headEnd).includes('permessage-deflate')) return received;
  const parts = [received.subarray(0, headEnd)];
  let at = headEnd;
  for (let frame = readFrame(received, at); frame !== undefined; frame = readFrame(received, at)) {
    const { first, payload, end } = frame;
    parts.push(...written(first & ~RSV1, (first & RSV1) === 0 ? payload : inflated(payload)));
    at = end;
  }
  // The rest of a frame that has not wholly come.
  parts.push(received.subarray(at));
  return Buffer.concat(parts);
}

function written(first: number, payload: Buffer): Buffer[] {
  const header = Buffer.alloc(5, first);
  header.writeUInt32BE(payload.length, 1);
  return [header, payload];
}

function inflated(payload: Buffer): Buffer {
  return inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH });
}
