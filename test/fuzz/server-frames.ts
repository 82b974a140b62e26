import { constants, inflateRawSync } from 'node:zlib';

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
  while (at < received.length) {
    const first = received[at] ?? 0;
    const second = received[at + 1] ?? 0;
    const start = at + (second === 127 ? 10 : second === 126 ? 4 : 2);
    if (start > received.length) break;
    const length =
      second === 127
        ? received.readUInt32BE(at + 6)
        : second === 126
          ? received.readUInt16BE(at + 2)
          : second;
    if (start + length > received.length) break;
    const payload = received.subarray(start, start + length);
    parts.push(...written(first & ~RSV1, (first & RSV1) === 0 ? payload : inflated(payload)));
    at = start + length;
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
