/** "lyge" and "tedb", from the text that SipHash begins with. */
const INITIAL_V2 = 0x6c796765;
const INITIAL_V3 = 0x74656462;
/** What ends every message: its length in bytes, in the highest byte. */
const LAST_WORD = 4 << 24;

/**
 * HalfSipHash-2-4 of one word of 32 bits (Aumasson and Bernstein, the variant of SipHash for processors of 32 bits): 32 bits
 * that nobody can tell from random ones without the key. Quick in JavaScript, whose integer operations have 32 bits.
 */
export function halfSipHash([k0, k1]: readonly [number, number], word: number): number {
  let v0 = k0 | 0;
  let v1 = k1 | 0;
  let v2 = INITIAL_V2 ^ k0;
  let v3 = INITIAL_V3 ^ k1;
  // Two rounds for the word, two for the last one, four to finish.
  for (let round = 0; round < 8; round++) {
    if (round === 0) v3 ^= word;
    else if (round === 2) {
      v0 ^= word;
      v3 ^= LAST_WORD;
    } else if (round === 4) {
      v0 ^= LAST_WORD;
      v2 ^= 0xff;
    }
    v0 = (v0 + v1) | 0;
    v1 = rotated(v1, 5) ^ v0;
    v0 = rotated(v0, 16);
    v2 = (v2 + v3) | 0;
    v3 = rotated(v3, 8) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = rotated(v3, 7) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = rotated(v1, 13) ^ v2;
    v2 = rotated(v2, 16);
  }
  return (v1 ^ v3) >>> 0;
}

function rotated(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
