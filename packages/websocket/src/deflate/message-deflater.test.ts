import { constants, inflateRawSync } from 'node:zlib';

import { readFrame } from '@roost/testing';
import { describe, expect, it } from 'vitest';

import { EMPTY } from '../empty.ts';
import { Opcode } from '../frames/frame-writer.ts';
import { DEFLATE_WINDOW_BITS, MessageDeflater } from './message-deflater.ts';

const TAIL = Buffer.from('0000ffff', 'hex');

function frameOf(deflater: MessageDeflater, payload: Buffer): Buffer | undefined {
  if (!deflater.deflate(Opcode.text, payload, payload.length)) return undefined;
  return Buffer.from(deflater.output.subarray(deflater.frameStart, deflater.frameEnd));
}

function inflated(deflated: Buffer): Buffer {
  const options = { finishFlush: constants.Z_SYNC_FLUSH, windowBits: DEFLATE_WINDOW_BITS };
  return inflateRawSync(Buffer.concat([deflated, TAIL]), options);
}

/** Bytes that do not shrink: the digits of a generator. */
function noise(length: number): Buffer {
  let state = 7;
  return Buffer.from(Array.from({ length }, () => (state = (state * 48_271) % 2_147_483_647) >> 8));
}

describe('MessageDeflater', () => {
  it('builds a final frame with RSV1 whose payload has no tail (RFC 7692 §7.2.1)', () => {
    const deflater = new MessageDeflater({ level: 6 });
    const payload = Buffer.from('Hello'.repeat(4));
    const frame = frameOf(deflater, payload) ?? EMPTY;
    // `Hello` as in RFC 7692 §7.2.3.1, then three times the same: how that is said depends on the zlib.
    expect(frame.subarray(2, 7).toString('hex')).toBe('f248cdc9c9');
    expect([frame[0], frame[1]]).toEqual([0xc1, frame.length - 2]);
    expect(frame.length).toBeLessThan(15);
    expect(frame.subarray(-4)).not.toEqual(TAIL);
    expect(inflated(frame.subarray(2)).toString()).toBe('Hello'.repeat(4));
    // The same again: nothing is taken over from one message to the next.
    expect(frameOf(deflater, payload)).toEqual(frame);
    expect(deflater.deflate(Opcode.binary, payload, payload.length)).toBe(true);
    expect(deflater.output[deflater.frameStart]).toBe(0xc2);
  });

  it('builds nothing that is not smaller than the payload', () => {
    const deflater = new MessageDeflater({ level: 9 });
    for (const payload of [EMPTY, Buffer.from('Hello'), noise(2000), noise(70_000)]) {
      expect(frameOf(deflater, payload)).toBe(undefined);
    }
    for (let repeats = 1; repeats < 12; repeats++) {
      const payload = Buffer.from('abc'.repeat(repeats));
      const frame = frameOf(deflater, payload);
      expect(frame === undefined || frame.length - 2 < payload.length).toBe(true);
    }
    expect(frameOf(deflater, Buffer.from('abc'.repeat(6)))).toBeDefined();
  });

  it('writes headers of every size around its payload, which a window of 4 KB inflates', () => {
    const deflater = new MessageDeflater({ level: 6 });
    // The same again and again, at a distance beyond the window.
    const digits = noise(20_000).toString('hex').repeat(8);
    const sizes = new Set<number>();
    for (const length of [100, 1500, 4000, 50_000, 300_000, 60]) {
      const payload = Buffer.from(digits.slice(0, length));
      const frame = frameOf(deflater, payload);
      if (frame === undefined) throw new Error(`${length} bytes of hexadecimal digits must shrink`);
      const read = readFrame(frame);
      const deflated = read?.payload ?? EMPTY;
      expect(read?.end).toBe(frame.length);
      sizes.add(frame.length - deflated.length);
      expect(inflated(deflated).equals(payload)).toBe(true);
    }
    expect([...sizes].toSorted((a, b) => a - b)).toEqual([2, 4, 10]);
    expect(deflater.output.length).toBeLessThanOrEqual(65_536);
  });
});
