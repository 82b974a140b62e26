import { describe, expect, it } from 'vitest';
import { buildFrame, clientFrame, readFrame, readFrames, serverFrame, textFrame } from './frames.ts';

function hex(frame: Buffer): string {
  return frame.toString('hex');
}

function bytesOf(digits: string): Buffer {
  return Buffer.from(digits.replaceAll(/\s/g, ''), 'hex');
}

const MASK = '37fa213d';

describe('frames of RFC 6455 §5.7', () => {
  it.each([
    ['an unmasked text', serverFrame(0x81, 'Hello'), '810548656c6c6f'],
    ['a masked text', clientFrame(0x81, 'Hello', MASK), '818537fa213d7f9f4d5158'],
    ['the first fragment of an unmasked text', serverFrame(0x01, 'Hel'), '010348656c'],
    ['its last fragment', serverFrame(0x80, 'lo'), '80026c6f'],
    ['an unmasked ping', serverFrame(0x89, 'Hello'), '890548656c6c6f'],
    ['a masked pong', clientFrame(0x8a, 'Hello', MASK), '8a8537fa213d7f9f4d5158'],
    ['256 bytes', serverFrame(0x82, Buffer.alloc(256)), `827e0100${'00'.repeat(256)}`],
    ['64 KiB', serverFrame(0x82, Buffer.alloc(65_536)), `827f0000000000010000${'00'.repeat(65_536)}`],
  ])('are built: %s', (_what, frame, digits) => {
    // Not compared by vitest, which would show 128 KiB.
    expect(hex(frame) === digits, hex(frame.subarray(0, 20))).toBe(true);
  });

  it.each([
    ['an unmasked text', '81 05 48656c6c6f', 0x81, 1, '48656c6c6f'],
    ['the first fragment of an unmasked text', '01 03 48656c', 0x01, 1, '48656c'],
    ['its last fragment', '80 02 6c6f', 0x80, 0, '6c6f'],
    ['an unmasked ping', '89 05 48656c6c6f', 0x89, 9, '48656c6c6f'],
    ['256 bytes', `82 7e 0100 ${'ab'.repeat(256)}`, 0x82, 2, 'ab'.repeat(256)],
    ['64 KiB', `82 7f 0000000000010000 ${'ab'.repeat(65_536)}`, 0x82, 2, 'ab'.repeat(65_536)],
  ])('are read: %s', (_what, digits, first, opcode, payload) => {
    const bytes = bytesOf(digits);
    const frame = readFrame(Buffer.concat([Buffer.from('xy'), bytes, Buffer.from('z')]), 2);
    expect([frame?.first, frame?.opcode, frame?.end]).toEqual([first, opcode, 2 + bytes.length]);
    expect(frame?.payload.toString('hex') === payload).toBe(true);
  });
});

describe('buildFrame', () => {
  it('takes masks as digits and as bytes, and leaves the payload alone', () => {
    const payload = Buffer.from('Hello');
    expect(hex(buildFrame(0x82, payload, { mask: bytesOf(MASK) }))).toBe('828537fa213d7f9f4d5158');
    expect(payload.toString()).toBe('Hello');
    expect(hex(textFrame('é'))).toBe('8182a1b2c3d4621b');
    expect(() => buildFrame(0x82, payload, { mask: '37fa' })).toThrow(TypeError);
  });

  it('takes the fewest bits for a length, or as many as it is told', () => {
    expect(hex(serverFrame(0x82, Buffer.alloc(125))).slice(0, 4)).toBe('827d');
    expect(hex(serverFrame(0x82, Buffer.alloc(126))).slice(0, 8)).toBe('827e007e');
    expect(hex(serverFrame(0x82, Buffer.alloc(65_535))).slice(0, 8)).toBe('827effff');
    expect(hex(buildFrame(0x82, 'a', { lengthBits: 16 }))).toBe('827e000161');
    expect(hex(buildFrame(0x82, 'a', { lengthBits: 64 }))).toBe('827f000000000000000161');
    expect(hex(buildFrame(0x82, 'a', { lengthBits: 64, mask: '00000000' }))).toBe(
      '82ff00000000000000010000000061',
    );
  });

  it('says another length than the payload has', () => {
    expect(hex(buildFrame(0x82, 'a', { length: 3n }))).toBe('820361');
    expect(hex(buildFrame(0x82, 'a', { length: 300n }))).toBe('827e012c61');
    expect(hex(buildFrame(0x82, 'a', { length: 2n ** 63n }))).toBe('827f800000000000000061');
    expect(hex(buildFrame(0x82, 'a', { length: 130n, lengthBits: 7 }))).toBe('820261');
  });
});

describe('readFrame', () => {
  it.each(['81 05 48656c6c6f', '82 7e 0003 616263', '82 7f 0000000000000003 616263'])(
    'waits for the last byte of %s',
    (digits) => {
      const bytes = bytesOf(digits);
      for (let end = 0; end < bytes.length; end++) {
        expect(readFrame(bytes.subarray(0, end))).toBe(undefined);
      }
      expect(readFrame(Buffer.concat([bytes, bytes]))?.end).toBe(bytes.length);
    },
  );

  it('takes no frame with a mask', () => {
    expect(() => readFrame(bytesOf('81 85 37fa213d 7f9f4d5158'))).toThrow('got 818537fa213d7f9f4d5158');
  });
});

describe('readFrames', () => {
  it('reads frame after frame to the end', () => {
    const frames = readFrames(bytesOf('01 03 48656c 89 00 80 02 6c6f'));
    expect(frames.map(({ first, payload }) => [first, payload.toString()])).toEqual([
      [0x01, 'Hel'],
      [0x89, ''],
      [0x80, 'lo'],
    ]);
    expect(readFrames(Buffer.alloc(0))).toEqual([]);
  });

  it('throws when the last one is not whole', () => {
    expect(() => readFrames(bytesOf('89 00 80 02 6c'))).toThrow('80026c');
  });
});
