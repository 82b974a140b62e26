import { describe, expect, it } from 'vitest';

import { FrameCut, FrameCutter } from './frame-cutter.ts';

const { incomplete, whole, doubtful } = FrameCut;
const cutter = new FrameCutter({ maxMessageBytes: 1000 });

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
}

/** What the bytes are, standing between others, with no message open or `messageBytes` of one. */
function cut(hex: string, messageBytes?: number): FrameCut {
  const bytes = Buffer.concat([Buffer.from('xy'), bytesOf(hex), Buffer.from('z')]);
  return cutter.next(bytes, 2, bytes.length - 1, messageBytes !== undefined, messageBytes ?? 0);
}

describe('FrameCutter', () => {
  it.each([
    ['a text', '81 82 01020304 6162', 8],
    ['a binary without payload', '82 80 01020304', 6],
    ['the beginning of a message', '01 81 01020304 61', 7],
    ['a frame with another behind it', '02 81 01020304 61 80 80', 7],
    ['a length of 16 bits', `82 fe 0080 00000000 ${'00'.repeat(128)}`, 136],
    ['a length of 64 bits', `82 ff 0000000000000080 00000000 ${'00'.repeat(128)}`, 142],
    ['a ping', '89 81 01020304 61', 7],
    ['a pong', '8a 80 01020304', 6],
    ['a close frame', '88 82 01020304 03e8', 8],
    ['a close frame without code', '88 80 01020304', 6],
  ])('finds the end of %s (%s)', (_what, hex, frameBytes) => {
    expect(cut(hex)).toBe(whole);
    expect(cutter.frameEnd).toBe(2 + frameBytes);
  });

  it('finds the end of continuations, and of control frames between them', () => {
    for (const hex of ['00 81 01020304 61', '80 81 01020304 61', '89 81 01020304 61', '88 81 01020304 61']) {
      expect([hex, cut(hex, 10)]).toEqual([hex, hex.startsWith('88') ? doubtful : whole]);
    }
  });

  it('says how much is missing as soon as the length is known', () => {
    const frame = bytesOf(`01 fe 0080 01020304 ${'61'.repeat(128)}`);
    for (let length = 0; length < frame.length; length++) {
      expect(cutter.next(frame, 0, length, false, 0)).toBe(incomplete);
      expect(cutter.requiredBytes).toBe(length < 4 ? 0 : frame.length);
    }
    const long = bytesOf('01 ff 00000000000003e8 01020304');
    for (let length = 0; length < long.length; length++) {
      expect(cutter.next(long, 0, length, false, 0)).toBe(incomplete);
      expect(cutter.requiredBytes).toBe(length < 10 ? 0 : 1014);
    }
  });

  it.each([
    ['a frame without a mask', '81 01'],
    ['RSV1', 'c1 80'],
    ['RSV2', 'a1 80'],
    ['RSV3', '91 80'],
    ['a reserved opcode', '83 80'],
    ['a reserved control opcode', '8b 80'],
    ['a continuation of nothing', '80 80'],
    ['a ping in fragments', '09 80'],
    ['a ping of 126 bytes', '89 fe'],
    ['a close frame of one byte', '88 81'],
    ['a message above the limit', '82 fe 03e9'],
    ['a message of 2^63 bytes', '82 ff 8000000000000000'],
  ])('does not wait for the rest of %s (%s)', (_what, hex) => {
    expect(cut(hex)).toBe(doubtful);
    expect(cut(`${hex} 00000000 00`)).toBe(doubtful);
    expect(cut(hex.slice(0, 2))).toBe(incomplete);
  });

  it('knows compressed frames where they were agreed on: the first of a message', () => {
    cutter.acceptsDeflated = true;
    try {
      for (const first of ['41', '42', 'c1', 'c2']) {
        expect([first, cut(`${first} 80 00000000`)]).toEqual([first, whole]);
        expect([first, cut(`${first} 80`, 1)]).toEqual([first, doubtful]);
      }
      for (const first of ['40', 'c0', 'c9', 'e1', 'd1'])
        expect([first, cut(`${first} 80`)]).toEqual([first, doubtful]);
    } finally {
      cutter.acceptsDeflated = false;
    }
  });

  it('does not wait for a message within a message, nor for fragments that add up to too much', () => {
    expect(cut('81 81', 1)).toBe(doubtful);
    expect(cut('02 80', 1)).toBe(doubtful);
    expect(cut('00 82', 999)).toBe(doubtful);
    expect(cut('00 81', 999)).toBe(incomplete);
    expect(cut('00 80 00000000', 1000)).toBe(whole);
  });
});
