import { describe, expect, it } from 'vitest';

import { ClosingReader } from './closing-reader.ts';

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
}

/** Reads the bytes in pieces, keeping between them what a row would keep. */
function readInPieces(reader: ClosingReader, bytes: Buffer, cuts: readonly number[]): boolean {
  let kept = Buffer.alloc(0);
  let skipBytes = 0;
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    const piece = Buffer.concat([kept, bytes.subarray(from, cut)]);
    if (reader.read(piece, 0, piece.length, skipBytes)) return true;
    skipBytes = reader.skipBytes;
    kept = piece.subarray(reader.consumed);
    expect(kept.length).toBeLessThan(131);
    from = cut;
  }
  return false;
}

const MESSAGES_THEN_CLOSE = bytesOf(
  `81 83 01020304 616161  89 80 01020304  82 fe 0080 01020304 ${'ab'.repeat(128)}
   02 81 00000000 61  82 ff 0000000000000003 00000000 8888ff  88 85 01020304 0eab 6a6b6c`,
);

describe('ClosingReader', () => {
  it('discards frames of every kind up to the close frame and reads its code', () => {
    const reader = new ClosingReader();
    expect(reader.read(MESSAGES_THEN_CLOSE, 0, MESSAGES_THEN_CLOSE.length, 0)).toBe(true);
    expect([reader.closeCode, reader.closeReason]).toEqual([4009, 'iom']);
  });

  it('finds the close frame wherever the bytes are cut', () => {
    for (let cut = 1; cut < MESSAGES_THEN_CLOSE.length; cut++) {
      const reader = new ClosingReader();
      expect(readInPieces(reader, MESSAGES_THEN_CLOSE, [cut])).toBe(true);
      expect([reader.closeCode, reader.closeReason]).toEqual([4009, 'iom']);
    }
  });

  it('finds the close frame in single bytes', () => {
    const reader = new ClosingReader();
    const cuts = Array.from({ length: MESSAGES_THEN_CLOSE.length - 1 }, (_, index) => index + 1);
    expect(readInPieces(reader, MESSAGES_THEN_CLOSE, cuts)).toBe(true);
    expect([reader.closeCode, reader.closeReason]).toEqual([4009, 'iom']);
  });

  it('discards compressed messages where they were agreed on', () => {
    const reader = new ClosingReader();
    const bytes = bytesOf(
      'c1 87 00000000 f248cdc9c90700  42 81 00000000 00  80 80 00000000  88 82 00000000 03e8',
    );
    expect(reader.read(bytes, 0, bytes.length, 0)).toBe(true);
    expect(reader.closeCode).toBe(1006);
    reader.acceptsDeflated = true;
    expect(reader.read(bytes, 0, bytes.length, 0)).toBe(true);
    expect(reader.closeCode).toBe(1000);
  });

  it.each(['c0', 'c8', 'c9', 'd1', 'e1'])(
    'takes %s for no frame, also where messages may be compressed',
    (hex) => {
      const reader = new ClosingReader();
      reader.acceptsDeflated = true;
      expect(reader.read(bytesOf(hex), 0, 1, 0)).toBe(true);
      expect(reader.closeCode).toBe(1006);
    },
  );

  it('says how much of a discarded frame is to come', () => {
    const reader = new ClosingReader();
    const bytes = bytesOf('ffff 82 85 00000000 6162');
    expect(reader.read(bytes, 2, bytes.length, 0)).toBe(false);
    expect([reader.skipBytes, reader.consumed]).toEqual([3, 10]);
    expect(reader.read(bytesOf('63'), 0, 1, 3)).toBe(false);
    expect([reader.skipBytes, reader.consumed]).toEqual([2, 1]);
    expect(reader.read(bytesOf('6465 88'), 0, 3, 2)).toBe(false);
    expect([reader.skipBytes, reader.consumed]).toEqual([0, 2]);
  });

  it.each([
    ['an empty close frame', '88 80 00000000', 1005],
    ['a code', '88 82 00000000 03e8', 1000],
    ['a reason that is not UTF-8', '88 84 00000000 03e8 c328', 1006],
    ['a payload of one byte', '88 81 00000000 03', 1006],
    ['a code that may not be sent', '88 82 00000000 03ed', 1006],
    ['an unmasked frame', '82 01 61', 1006],
    ['RSV bits', 'c2', 1006],
    ['a reserved opcode', '83', 1006],
    ['a reserved control opcode', '8b', 1006],
    ['a fragment of a close frame', '08', 1006],
    ['a close frame with an extended length', '88 fe', 1006],
    ['a frame of 2 GiB', '82 ff 0000000080000000 00000000', 1006],
    ['a length above 2^53', '82 ff ffffffffffffffff 00000000', 1006],
  ])('is done after %s', (_name, hex, code) => {
    const reader = new ClosingReader();
    const bytes = bytesOf(hex);
    expect(reader.read(bytes, 0, bytes.length, 0)).toBe(true);
    expect(reader.closeCode).toBe(code);
  });

  it.each([
    '88',
    '88 80',
    '88 80 000000',
    '88 82',
    '88 82 00000000 03',
    '88 84 00000000 03e8 61',
    '82 fe 01',
    '82 ff 00000000000000',
    '00',
  ])('waits after %s', (hex) => {
    const reader = new ClosingReader();
    const bytes = bytesOf(hex);
    expect(reader.read(bytes, 0, bytes.length, 0)).toBe(false);
    expect([reader.skipBytes, reader.consumed]).toEqual([0, 0]);
  });
});
