import { describe, expect, it } from 'vitest';
import { clientFrame, type FrameHeader, Opcode, readFrameHeader } from './client-frames.ts';

function read(hex: string): { bytes: number } & FrameHeader {
  const header: FrameHeader = { isFinal: false, opcode: -1, payloadBytes: -1, isValid: false };
  const frame = Buffer.from(hex, 'hex');
  return { bytes: readFrameHeader(frame, 0, frame.length, header), ...header };
}

describe('readFrameHeader', () => {
  it('reads the three forms of the length', () => {
    expect(read('8105')).toEqual({ bytes: 2, isFinal: true, opcode: 1, payloadBytes: 5, isValid: true });
    expect(read('827e0100')).toEqual({
      bytes: 4,
      isFinal: true,
      opcode: 2,
      payloadBytes: 256,
      isValid: true,
    });
    expect(read('017f0000000100000000')).toEqual({
      bytes: 10,
      isFinal: false,
      opcode: 1,
      payloadBytes: 2 ** 32,
      isValid: true,
    });
  });

  it('answers 0 for a header that has not fully arrived', () => {
    for (const hex of ['', '81', '817e', '817e01', '817f00000001000000']) expect(read(hex).bytes).toBe(0);
  });

  it('finds masks, reserved bits and opcodes, and bad control frames invalid', () => {
    for (const hex of ['8185', 'c105', '8305', '8b00', '897e0080', '0900', '817fffffffffffffffff']) {
      expect(read(hex)).toMatchObject({ isValid: false });
      expect(read(hex).bytes).toBeGreaterThan(0);
    }
  });
});

describe('clientFrame', () => {
  it('makes the masked "Hello" of RFC 6455 §5.7', () => {
    const frame = clientFrame(Opcode.text, Buffer.from('Hello'), Buffer.from('37fa213d', 'hex'));
    expect(frame.toString('hex')).toBe('818537fa213d7f9f4d5158');
  });

  it('writes lengths from 126 on in two bytes', () => {
    const frame = clientFrame(Opcode.binary, Buffer.alloc(300), Buffer.from('00000000', 'hex'));
    expect(frame.subarray(0, 8).toString('hex')).toBe('82fe012c00000000');
    expect(frame.length).toBe(308);
  });

  it('writes lengths from 65,536 on in eight bytes', () => {
    const frame = clientFrame(Opcode.text, Buffer.alloc(65_536), Buffer.from('00000000', 'hex'));
    expect(frame.subarray(0, 14).toString('hex')).toBe('81ff000000000001000000000000');
    expect(frame.length).toBe(14 + 65_536);
  });
});
