import { describe, expect, it } from 'vitest';
import { encodePublication, MIN_PUBLICATION_BYTES, readPublication } from './publication.ts';

const DUE = 1_800_000_000_123_456;

function read(text: string): { dueMicros: number; number: number } | undefined {
  const found = { dueMicros: 0, number: 0 };
  // Something stands before and behind it, as in a slab.
  const bytes = Buffer.from(`.......${text}roost-load:`);
  return readPublication(bytes, 7, Buffer.byteLength(text), found) ? found : undefined;
}

describe('a publication', () => {
  it('says when it was due, to the microsecond, and which one it is', () => {
    expect(encodePublication(DUE, 3, 48)).toBe('roost-load:00066517289a6240:00000003............');
    expect(read(encodePublication(DUE, 3, 48))).toEqual({ dueMicros: DUE, number: 3 });
    expect(read(encodePublication(DUE, 0xffff_ffff, 0))).toEqual({ dueMicros: DUE, number: 0xffff_ffff });
  });

  it('is found in what a server wraps around it', () => {
    const wrapped = `42["news",{"data":"${encodePublication(DUE, 7, 64)}"}]`;
    expect(read(wrapped)).toEqual({ dueMicros: DUE, number: 7 });
  });

  it('is not found where there is none, or not all of one', () => {
    expect(read('hello')).toBeUndefined();
    expect(read('')).toBeUndefined();
    const whole = encodePublication(DUE, 1, 0);
    expect(whole).toHaveLength(MIN_PUBLICATION_BYTES);
    for (let length = 0; length < whole.length; length++) {
      expect(read(whole.slice(0, length)), `${length} bytes`).toBeUndefined();
    }
    expect(read(whole.replace('0006', 'zzzz'))).toBeUndefined();
  });
});
