// The leading underscores are Node's.
/* oxlint-disable no-underscore-dangle */
import { createDeflateRaw, createInflateRaw, inflateRawSync, constants } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { ZlibState } from './zlib-state.ts';

describe('what is relied on inside node:zlib', () => {
  it.each([
    ['inflate', createInflateRaw()],
    ['deflate', createDeflateRaw()],
  ])('is there in a stream that can %s', (_name, stream) => {
    expect(stream).toMatchObject({
      _writeState: expect.any(Uint32Array),
      _handle: {
        onerror: expect.any(Function),
        reset: expect.any(Function),
        writeSync: expect.any(Function),
      },
    });
    stream.close();
  });
});

describe('ZlibState', () => {
  it('inflates in steps as there is room, and says what is left', () => {
    const state = ZlibState.forInflate();
    const input = Buffer.from('f248cdc9c90700', 'hex');
    const output = Buffer.alloc(8, 0x2e);
    state.reset();
    expect(state.write(input, 0, 7, output, 1, 4)).toBe(true);
    expect([output.toString(), state.freeBytes]).toEqual(['.Hel....', 0]);
    expect(state.write(input, 7 - state.leftBytes, 7, output, 4, 8)).toBe(true);
    expect([output.toString(), state.freeBytes, state.leftBytes]).toEqual(['.Hello..', 2, 0]);
  });

  it('says that the input is no DEFLATE stream, and can be used again', () => {
    const state = ZlibState.forInflate();
    const output = Buffer.alloc(8);
    for (let turn = 0; turn < 2; turn++) {
      state.reset();
      expect(state.write(Buffer.from('ffffff', 'hex'), 0, 3, output, 0, 8)).toBe(false);
      state.reset();
      expect(state.write(Buffer.from('f248cdc9c90700', 'hex'), 0, 7, output, 0, 8)).toBe(true);
      expect(output.toString('latin1', 0, 5)).toBe('Hello');
    }
  });

  it('deflates for a small window, and ends each flush with an empty block', () => {
    const state = ZlibState.forDeflate(9, 9);
    // Repeats itself at a distance that a window of 512 bytes does not reach.
    const half = Buffer.from(Array.from({ length: 600 }, (_, index) => (index * index * 31) % 251));
    const input = Buffer.concat([half, half]);
    const output = Buffer.alloc(2000);
    state.reset();
    expect(state.write(input, 0, input.length, output, 0, output.length)).toBe(true);
    const deflated = output.subarray(0, output.length - state.freeBytes);
    expect(deflated.subarray(-4).toString('hex')).toBe('0000ffff');
    const options = { finishFlush: constants.Z_SYNC_FLUSH, windowBits: 9 };
    expect(inflateRawSync(deflated, options)).toEqual(input);
  });
});
