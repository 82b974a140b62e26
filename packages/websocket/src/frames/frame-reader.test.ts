import { buildFrame } from '@roost/testing';
import { describe, expect, it } from 'vitest';

import { WebSocketArgumentError } from '../errors.ts';
import { FrameKind, SimpleFrameReader } from './frame-reader.ts';

const MASK = '37fa213d';

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}

/** A client's frame; the length need not be encoded in the fewest bits. */
function frameOf(first: number, payload: Buffer, lengthBits?: 16 | 64): Buffer {
  return buildFrame(first, payload, { mask: MASK, lengthBits });
}

function payloadOf(reader: SimpleFrameReader, bytes: Buffer): Buffer {
  return bytes.subarray(reader.payloadStart, reader.payloadEnd);
}

describe('SimpleFrameReader', () => {
  it('reads the masked text frame of RFC 6455 §5.7', () => {
    const reader = new SimpleFrameReader({ maxMessageBytes: 100 });
    const bytes = bytesOf('81 85 37fa213d 7f9f4d5158');
    expect(reader.next(bytes, 0, bytes.length)).toBe(FrameKind.text);
    expect(payloadOf(reader, bytes).toString()).toBe('Hello');
    expect([reader.opcode, reader.payloadStart, reader.payloadEnd, reader.frameEnd]).toEqual([1, 6, 11, 11]);
  });

  it.each([
    ['binary', '82 83 01020304 000000', FrameKind.binary, 2, '010203'],
    ['ping', '89 82 01020304 6b6b', FrameKind.ping, 9, '6a69'],
    ['pong', '8a 80 01020304', FrameKind.pong, 10, ''],
    ['empty text', '81 80 01020304', FrameKind.text, 1, ''],
    ['text with a zero mask', '81 82 00000000 6869', FrameKind.text, 1, '6869'],
    ['text of two bytes a character', '81 82 01020304 c2ab', FrameKind.text, 1, 'c3a9'],
  ])('reads %s', (_name, hex, kind, opcode, payload) => {
    const reader = new SimpleFrameReader({ maxMessageBytes: 100 });
    const bytes = bytesOf(hex);
    expect(reader.next(bytes, 0, bytes.length)).toBe(kind);
    expect(reader.opcode).toBe(opcode);
    expect(reader.frameEnd).toBe(bytes.length);
    expect(payloadOf(reader, bytes).toString('hex')).toBe(payload);
  });

  it('reads whole compressed messages, unmasked, where they were agreed on (RFC 7692 §7.2.3.1)', () => {
    const reader = new SimpleFrameReader({ maxMessageBytes: 7 });
    for (const [first, kind, opcode] of [
      ['c1', FrameKind.deflatedText, 1],
      ['c2', FrameKind.deflatedBinary, 2],
    ] as const) {
      const hex = `${first} 87 37fa213d c5b2ecf4fefd21`;
      const bytes = bytesOf(hex);
      reader.acceptsDeflated = false;
      expect(reader.next(bytes, 0, bytes.length)).toBe(FrameKind.complex);
      expect(reader.next(bytes, 0, 1)).toBe(FrameKind.complex);
      reader.acceptsDeflated = true;
      expect(reader.next(bytes, 0, 1)).toBe(FrameKind.incomplete);
      expect(reader.next(bytes, 0, 12)).toBe(FrameKind.incomplete);
      expect(reader.requiredBytes).toBe(13);
      expect(reader.next(bytes, 0, bytes.length)).toBe(kind);
      expect([reader.opcode, payloadOf(reader, bytes).toString('hex')]).toEqual([opcode, 'f248cdc9c90700']);
      reader.remask(bytes);
      expect(bytes).toEqual(bytesOf(hex));
    }
    const long = frameOf(0xc2, Buffer.alloc(300));
    expect(new SimpleFrameReader({ maxMessageBytes: 299 }).next(long, 0, long.length)).toBe(
      FrameKind.complex,
    );
    const longReader = new SimpleFrameReader({ maxMessageBytes: 300 });
    longReader.acceptsDeflated = true;
    expect(longReader.next(long, 0, long.length)).toBe(FrameKind.deflatedBinary);
    const tooLong = frameOf(0xc2, Buffer.alloc(301));
    expect(longReader.next(tooLong, 0, tooLong.length)).toBe(FrameKind.complex);
  });

  it.each([
    ['a compressed first fragment', '41 80 01020304'],
    ['a compressed continuation', 'c0 80 01020304'],
    ['a compressed ping', 'c9 80 01020304'],
    ['a compressed pong', 'ca 80 01020304'],
    ['a compressed close frame', 'c8 80 01020304'],
    ['RSV2 beside RSV1', 'e1 80 01020304'],
    ['a compressed frame without a mask', 'c1 00 01020304'],
  ])('leaves %s to ws, also where compression was agreed on', (_name, hex) => {
    const reader = new SimpleFrameReader({ maxMessageBytes: 100 });
    reader.acceptsDeflated = true;
    const bytes = bytesOf(hex);
    expect(reader.next(bytes, 0, bytes.length)).toBe(FrameKind.complex);
    expect(bytes).toEqual(bytesOf(hex));
  });

  it('reads payloads of every length around the borders of encodings and of the native unmasking', () => {
    const reader = new SimpleFrameReader({ maxMessageBytes: 70_000 });
    for (const length of [1, 2, 3, 4, 5, 47, 48, 49, 50, 51, 125, 126, 127, 65_535, 65_536, 70_000]) {
      const payload = Buffer.from(Array.from({ length }, (_, index) => (index * 7) & 0xff));
      const sent = frameOf(0x82, payload);
      // At an odd place, with other bytes around it that must not change.
      const bytes = Buffer.concat([Buffer.from('eeee', 'hex'), sent, Buffer.from('dd', 'hex')]);
      expect(reader.next(bytes, 2, bytes.length)).toBe(FrameKind.binary);
      expect(payloadOf(reader, bytes).equals(payload)).toBe(true);
      expect(reader.frameEnd).toBe(bytes.length - 1);
      expect([bytes[0], bytes[1], bytes.at(-1)]).toEqual([0xee, 0xee, 0xdd]);
      reader.remask(bytes);
      expect(bytes.subarray(2, -1).equals(sent)).toBe(true);
    }
  });

  it('accepts a length in more bytes than it needs, as ws does', () => {
    const reader = new SimpleFrameReader({ maxMessageBytes: 100 });
    for (const lengthBits of [16, 64] as const) {
      const bytes = frameOf(0x81, Buffer.from('Hello'), lengthBits);
      expect(reader.next(bytes, 0, bytes.length)).toBe(FrameKind.text);
      expect(payloadOf(reader, bytes).toString()).toBe('Hello');
    }
  });

  it('reads frame after frame', () => {
    const reader = new SimpleFrameReader({ maxMessageBytes: 100 });
    const bytes = bytesOf('81 81 00000000 61  89 80 00000000  82 81 00000000 62');
    const seen: unknown[] = [];
    for (let at = 0; at < bytes.length; at = reader.frameEnd) {
      seen.push([reader.next(bytes, at, bytes.length), payloadOf(reader, bytes).toString()]);
    }
    expect(seen).toEqual([
      [FrameKind.text, 'a'],
      [FrameKind.ping, ''],
      [FrameKind.binary, 'b'],
    ]);
  });

  it.each([5, 60, 130, 66_000])('waits for every missing byte of a frame with %i payload bytes', (length) => {
    const reader = new SimpleFrameReader({ maxMessageBytes: 100_000 });
    const bytes = frameOf(0x81, Buffer.alloc(length, 'a'));
    const before = Buffer.from(bytes);
    const lengthEnd = bytes.length - length - 4;
    const step = Math.max(1, Math.floor(length / 100));
    for (let end = 0; end < bytes.length; end += end < 20 ? 1 : step) {
      expect(reader.next(bytes, 0, end)).toBe(FrameKind.incomplete);
      expect(reader.requiredBytes).toBe(end < lengthEnd ? 0 : bytes.length);
    }
    expect(reader.next(bytes, 0, bytes.length - 1)).toBe(FrameKind.incomplete);
    expect(bytes.equals(before)).toBe(true);
    expect(reader.next(bytes, 0, bytes.length)).toBe(FrameKind.text);
    expect(reader.requiredBytes).toBe(0);
  });

  // Each with as few bytes as show it: the rest is not waited for.
  it.each([
    ['a text frame that is not final', '01'],
    ['a binary frame that is not final', '02'],
    ['a continuation', '00'],
    ['a final continuation', '80'],
    ['an unmasked close frame', '8802'],
    ['a close frame with an extended length', '88fe'],
    ['RSV1', 'c1'],
    ['RSV2', 'a1'],
    ['RSV3', '91'],
    ['a reserved data opcode', '83'],
    ['the last reserved data opcode', '87'],
    ['a reserved control opcode', '8b'],
    ['the last reserved control opcode', '8f'],
    ['a ping that is not final', '09'],
    ['an unmasked text frame', '8105'],
    ['an unmasked ping', '8900'],
    ['a ping with an extended length', '89fe'],
    ['a pong with a 64-bit length', '8aff'],
    ['a 16-bit length above the limit', '81fe0065'],
    ['a 64-bit length above the limit', '82ff0000000000000065'],
    ['a 64-bit length above 2^53', '82ffffffffffffffffff'],
    ['a 7-bit length above the limit', '82e5', 100],
  ])('calls %s complex at once', (_name, hex, limit = 100) => {
    const reader = new SimpleFrameReader({ maxMessageBytes: limit });
    const bytes = bytesOf(hex);
    expect(reader.next(bytes, 0, bytes.length)).toBe(FrameKind.complex);
    expect(bytes.equals(bytesOf(hex))).toBe(true);
  });

  it.each([
    ['without a body', ''],
    ['with a code', '03e8'],
    ['with a code of an application', '0fa0'],
    ['with a reason', '03e9c3a9'],
  ])('reads a close frame %s', (_name, body) => {
    const reader = new SimpleFrameReader({ maxMessageBytes: 100 });
    const bytes = bytesOf(`88${(0x80 | (body.length / 2)).toString(16)}00000000${body}`);
    expect(reader.next(bytes, 0, bytes.length)).toBe(FrameKind.close);
    expect(bytes.toString('hex', reader.payloadStart, reader.payloadEnd)).toBe(body);
  });

  it.each([
    ['half a code', '888101020304c0'],
    ['a code that may not be sent (1005)', '88820102030402ef'],
    ['a code below 1000', '88820102030402e5'],
    ['a reason that is not UTF-8', '88830102030402eac0'],
  ])('calls a close frame with %s complex, as it was sent', (_name, hex) => {
    const reader = new SimpleFrameReader({ maxMessageBytes: 100 });
    const bytes = bytesOf(hex);
    expect(reader.next(bytes, 0, bytes.length)).toBe(FrameKind.complex);
    expect(bytes.equals(bytesOf(hex))).toBe(true);
  });

  it('does not wait for the payload of a close frame that can only hold half a code', () => {
    const reader = new SimpleFrameReader({ maxMessageBytes: 100 });
    expect(reader.next(bytesOf('8881'), 0, 2)).toBe(FrameKind.complex);
    expect(reader.next(bytesOf('88815a4ae6'), 0, 5)).toBe(FrameKind.complex);
    expect(reader.next(bytesOf('88825a4ae6'), 0, 5)).toBe(FrameKind.incomplete);
  });

  it.each([
    ['short', Buffer.from('61c3', 'hex')],
    ['overlong', Buffer.from('c080', 'hex')],
    ['surrogate', Buffer.from('eda080', 'hex')],
    ['long', Buffer.concat([Buffer.alloc(80, 'a'), Buffer.from('ff', 'hex')])],
  ])('leaves a %s text in invalid UTF-8 complex and as it was sent', (_name, payload) => {
    const reader = new SimpleFrameReader({ maxMessageBytes: 100 });
    const bytes = frameOf(0x81, payload);
    const before = Buffer.from(bytes);
    expect(reader.next(bytes, 0, bytes.length)).toBe(FrameKind.complex);
    expect(bytes.equals(before)).toBe(true);
    reader.remask(bytes);
    expect(bytes.equals(before)).toBe(true);
    bytes[0] = 0x82;
    expect(reader.next(bytes, 0, bytes.length)).toBe(FrameKind.binary);
  });

  it('takes messages of exactly maxMessageBytes, and control frames whatever the limit', () => {
    const reader = new SimpleFrameReader({ maxMessageBytes: 3 });
    const fits = frameOf(0x82, Buffer.alloc(3));
    const tooLarge = frameOf(0x82, Buffer.alloc(4));
    const ping = frameOf(0x89, Buffer.alloc(125));
    expect(reader.next(fits, 0, fits.length)).toBe(FrameKind.binary);
    expect(reader.next(tooLarge, 0, tooLarge.length)).toBe(FrameKind.complex);
    expect(reader.next(ping, 0, ping.length)).toBe(FrameKind.ping);
  });

  it('remasks once', () => {
    const reader = new SimpleFrameReader({ maxMessageBytes: 100 });
    const bytes = bytesOf('81 85 37fa213d 7f9f4d5158');
    reader.next(bytes, 0, bytes.length);
    reader.remask(bytes);
    reader.remask(bytes);
    expect(bytes.equals(bytesOf('81 85 37fa213d 7f9f4d5158'))).toBe(true);
  });

  it.each([0, -1, 1.5, 2 ** 31, Number.POSITIVE_INFINITY])('refuses %d as maxMessageBytes', (limit) => {
    expect(() => new SimpleFrameReader({ maxMessageBytes: limit })).toThrow(WebSocketArgumentError);
  });
});
