import { describe, expect, it } from 'vitest';

import { hasBadControlLength, isControlFrame, maskOffset, readPayloadBytes } from './frame-header.ts';

describe('the header of a frame', () => {
  it.each([
    ['no payload', '81 80', 0],
    ['125 bytes', '81 fd', 125],
    ['126 bytes', '82 fe 007e', 126],
    ['65,535 bytes', '82 fe ffff', 65_535],
    ['65,536 bytes', '82 ff 0000000000010000', 65_536],
    ['5 bytes in the longest form', '82 ff 0000000000000005', 5],
    ['2^40 bytes and one', '82 ff 0000010000000001', 2 ** 40 + 1],
    ['2^63 bytes', '82 ff 8000000000000000', 2 ** 63],
  ])('says where its mask is and how long the payload: %s (%s)', (_what, hex, payloadBytes) => {
    const header = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    expect(maskOffset(header[1] ?? 0)).toBe(header.length);
    const between = Buffer.concat([Buffer.from('xy'), header, Buffer.from('z')]);
    expect(readPayloadBytes(between, 2)).toBe(payloadBytes);
  });

  it('is that of a control frame from opcode 8 on', () => {
    for (let first = 0; first < 256; first++) expect(isControlFrame(first)).toBe(first % 16 >= 8);
  });

  it.each([
    ['a ping of 125 bytes', 0x89, 0xfd, false],
    ['a ping of one byte', 0x89, 0x81, false],
    ['a ping of 126 bytes', 0x89, 0xfe, true],
    ['a pong with a length of 64 bits', 0x8a, 0xff, true],
    ['a close frame without a code', 0x88, 0x80, false],
    ['a close frame with half a code', 0x88, 0x81, true],
    ['a close frame with a code', 0x88, 0x82, false],
    ['a text of one byte', 0x81, 0x81, false],
    ['a text of 126 bytes', 0x81, 0xfe, false],
  ])('knows whether no control frame has its length: %s', (_what, first, second, isBad) => {
    expect(hasBadControlLength(first, second)).toBe(isBad);
  });
});
