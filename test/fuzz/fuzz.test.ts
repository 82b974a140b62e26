import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testSeed } from '../../packages/farm/src/worker/fixtures/random.ts';
import { runHeads } from './heads.ts';
import { describeHeadMismatch, describeMismatch } from './report.ts';
import { runStreams, StreamFuzzer } from './streams.ts';

const IN_FLIGHT = 128;
const MAX_MISMATCHES = 3;
const SEED = testSeed();

describe('the worker beside a plain server of ws', () => {
  let fuzzer: StreamFuzzer;
  beforeAll(async () => {
    fuzzer = await StreamFuzzer.start(IN_FLIGHT);
  });
  afterAll(() => fuzzer.stop());

  it.each([[2000, SEED]])(
    'gives the same messages, pongs, close codes and ends for %d streams of bytes (seed %d)',
    async (count, seed) => {
      const outcome = await runStreams(fuzzer, {
        seed,
        count,
        inFlight: IN_FLIGHT,
        maxMismatches: MAX_MISMATCHES,
      });
      expect(outcome.mismatches.map(describeMismatch).join('\n\n')).toBe('');
      expect(outcome.complaints).toEqual([]);
      expect(outcome.done).toBe(count);
    },
  );
});

describe('the request heads of the worker beside those of Node', () => {
  it.each([[10_000, SEED]])(
    'are accepted by Node too, and read the same, in %d tries (seed %d)',
    async (count, seed) => {
      const outcome = await runHeads({ seed, count, maxMismatches: MAX_MISMATCHES });
      expect(outcome.mismatches.map(describeHeadMismatch).join('\n\n')).toBe('');
      expect(outcome.done).toBe(count);
      // Had they nothing in common, they would agree as well.
      expect(outcome.agreed).toBeGreaterThan(count / 10);
      expect(outcome.upgraded).toBeGreaterThan(count / 20);
    },
  );
});
