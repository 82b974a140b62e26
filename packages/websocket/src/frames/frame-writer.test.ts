import { describe, expect, it } from 'vitest';

import { WebSocketArgumentError } from '../errors.ts';
import {
  encodeCloseFrame,
  encodeFrame,
  encodeTextFrame,
  frameHeaderBytes,
  isValidCloseCode,
  Opcode,
  writeFrameHeader,
} from './frame-writer.ts';

describe('frame header', () => {
  it.each([
    [0, '8200'],
    [5, '8205'],
    [125, '827d'],
    [126, '827e007e'],
    [256, '827e0100'],
    [65_535, '827effff'],
    [65_536, '827f0000000000010000'],
    [2 ** 32 + 1, '827f0000000100000001'],
  ])('encodes %i payload bytes as in RFC 6455 §5.2', (payloadBytes, hex) => {
    const target = Buffer.alloc(12, 0xee);
    const length = writeFrameHeader(target, 1, Opcode.binary, payloadBytes);
    expect(length).toBe(frameHeaderBytes(payloadBytes));
    expect(target.toString('hex')).toBe(`ee${hex}`.padEnd(24, 'e'));
  });
});

describe('encodeFrame', () => {
  it('copies the payload behind the header into memory of its own', () => {
    const payload = Buffer.from('010203', 'hex');
    const frame = encodeFrame(Opcode.pong, payload);
    payload.fill(0);
    expect(frame.toString('hex')).toBe('8a03010203');
    expect(frame.buffer.byteLength).toBe(5);
  });

  it('uses the extended lengths at their borders', () => {
    expect(encodeFrame(Opcode.binary, new Uint8Array(126)).subarray(0, 5).toString('hex')).toBe('827e007e00');
    const large = encodeFrame(Opcode.binary, new Uint8Array(65_536));
    expect(large.length).toBe(65_546);
    expect(large.subarray(0, 11).toString('hex')).toBe('827f000000000001000000');
  });
});

describe('encodeTextFrame', () => {
  it('counts bytes, not characters', () => {
    // The example of RFC 6455 §5.7, and one with two, three and four bytes a character.
    expect(encodeTextFrame('Hello').toString('hex')).toBe('810548656c6c6f');
    expect(encodeTextFrame('é€😀').toString('hex')).toBe('8109c3a9e282acf09f9880');
    expect(encodeTextFrame('').toString('hex')).toBe('8100');
    expect(encodeTextFrame('é'.repeat(63)).subarray(0, 4).toString('hex')).toBe('817e007e');
  });

  it('replaces lone surrogates, so that the frame is valid UTF-8', () => {
    expect(encodeTextFrame('a\ud800b').toString('hex')).toBe('810561efbfbd62');
  });

  it('does not pin the buffer pool', () => {
    expect(encodeTextFrame('Hello').buffer.byteLength).toBe(7);
  });
});

describe('encodeCloseFrame', () => {
  it('carries the code and the reason', () => {
    expect(encodeCloseFrame(1000, '').toString('hex')).toBe('880203e8');
    expect(encodeCloseFrame(4001, 'bye').toString('hex')).toBe('88050fa1627965');
  });

  it('has no payload for 1005', () => {
    expect(encodeCloseFrame(1005, 'ignored').toString('hex')).toBe('8800');
  });

  it.each([
    ['a'.repeat(123), 123],
    ['a'.repeat(124), 123],
    [`${'a'.repeat(122)}é`, 122],
    [`${'a'.repeat(121)}é`, 123],
    [`${'a'.repeat(121)}€`, 121],
    [`${'a'.repeat(120)}😀`, 120],
    ['😀'.repeat(1000), 120],
  ])('cuts the reason to whole characters in 123 bytes (%#)', (reason, expected) => {
    const frame = encodeCloseFrame(1000, reason);
    const text = frame.subarray(4).toString();
    expect(frame[1]).toBe(2 + expected);
    expect(frame.length).toBe(4 + expected);
    expect(text).toBe(reason.slice(0, text.length));
  });

  it('refuses codes that may not be sent', () => {
    for (const code of [0, 999, 1004, 1006, 1015, 2999, 5000, 1000.5, Number.NaN]) {
      expect(() => encodeCloseFrame(code, '')).toThrow(WebSocketArgumentError);
    }
    expect(() => encodeCloseFrame(1006, '')).toThrow(/got 1006/);
  });
});

describe('isValidCloseCode', () => {
  it('accepts 1000–1003, 1007–1014 and 3000–4999', () => {
    const valid: number[] = [];
    for (let code = 0; code < 6000; code++) if (isValidCloseCode(code)) valid.push(code);
    expect(valid.slice(0, 12)).toEqual([
      1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
    ]);
    expect(valid.slice(12)).toEqual(Array.from({ length: 2000 }, (_, index) => 3000 + index));
  });
});
