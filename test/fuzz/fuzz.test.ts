import { testSeed } from '@roost/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runHeads } from './heads.ts';
import { PusherFuzzer } from './pusher.ts';
import { describeHeadMismatch, describeMismatch, describePusherProblem } from './report.ts';
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
      expect(outcome.plain).toBeGreaterThan(count / 100);
    },
  );
});

describe('a farm that serves the Pusher protocol', () => {
  let fuzzer: PusherFuzzer;
  beforeAll(async () => {
    fuzzer = await PusherFuzzer.start();
  });
  afterAll(() => fuzzer.stop());

  it.each([[500, SEED]])(
    'gives only answers that are documented to %d clients that say all sorts of things, and hurts nobody else (seed %d)',
    async (count, seed) => {
      const outcome = await fuzzer.run({ seed, count });
      expect(outcome.problems.map(describePusherProblem).join('\n\n')).toBe('');
      expect(outcome.complaints).toEqual([]);
      // Had they been refused at once, there would be no answers.
      expect(outcome.answers).toBeGreaterThan(count * 3);
    },
  );
});
