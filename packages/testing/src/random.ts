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

/** Any number would do; a run that fails must fail again. */
const FIXED_SEED = 6455;

/**
 * The seed of a spec's random steps: the same in each run, so that a change that passed does not fail the next one.
 * `ROOST_TEST_SEED` gives another; `ROOST_TEST_SEED=random` a new one, which stands in the title. As a map function of
 * `Array.from` it gives different ones.
 */
export function testSeed(_value?: unknown, index = 0): number {
  const wanted = process.env['ROOST_TEST_SEED'] ?? String(FIXED_SEED);
  if (wanted === 'random') return Math.floor(Math.random() * 2 ** 31);
  if (/^\d+$/.test(wanted)) return Number(wanted) + index;
  throw new Error(`ROOST_TEST_SEED is a whole number or "random", got ${JSON.stringify(wanted)}.`);
}
