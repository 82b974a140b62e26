/** Integers from 0 up to, not including, `below`, the same for each seed (mulberry32). */
export function seededRandom(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** A seed that differs from run to run, unless ROOST_TEST_SEED repeats one. */
export function testSeed(): number {
  return Number(process.env['ROOST_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
}
