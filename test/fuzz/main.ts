import { parseArgs } from 'node:util';
import { HeadFuzzer, runHeads } from './heads.ts';
import { generateHead } from './head-generator.ts';
import { minimise } from './minimise.ts';
import { PusherFuzzer } from './pusher.ts';
import { describeHeadMismatch, describeMismatch, describePusherProblem } from './report.ts';
import { generateStream } from './stream-generator.ts';
import { runStreams, StreamFuzzer } from './streams.ts';

const MAX_MISMATCHES = 5;
const IN_FLIGHT = 192;
const PROGRESS_EVERY = 20_000;

/**
 * `npm run fuzz -- [--streams N] [--heads N] [--pusher N] [--seed S]`, and to replay one: `--seed S --only N`, `--seed S
 * --only-head N` or `--seed S --only-pusher N`.
 * Answers the exit code.
 */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      streams: { type: 'string' },
      heads: { type: 'string' },
      pusher: { type: 'string' },
      seed: { type: 'string' },
      only: { type: 'string' },
      'only-head': { type: 'string' },
      'only-pusher': { type: 'string' },
    },
  });
  const seed = numberOf('seed', values.seed) ?? Math.floor(Math.random() * 2 ** 31);
  const only = numberOf('only', values.only);
  const onlyHead = numberOf('only-head', values['only-head']);
  if (only !== undefined) return (await replayStream(seed, only)) ? 0 : 1;
  if (onlyHead !== undefined) return replayHead(seed, onlyHead) ? 0 : 1;
  const onlyPusher = numberOf('only-pusher', values['only-pusher']);
  if (onlyPusher !== undefined) return (await fuzzPusher({ seed, from: onlyPusher, count: 1 })) ? 0 : 1;

  console.log(`seed ${seed}`);
  // A third of the streams break the protocol, and ws makes an error of each.
  Error.stackTraceLimit = 0;
  const streams = numberOf('streams', values.streams);
  const heads = numberOf('heads', values.heads);
  const pusher = numberOf('pusher', values.pusher);
  const isPlain = streams === undefined && heads === undefined && pusher === undefined;
  const haveHeadsAgreed = await fuzzHeads(seed, heads ?? (isPlain ? 100_000 : 0));
  const haveStreamsAgreed = await fuzzStreams(seed, streams ?? (isPlain ? 20_000 : 0));
  const isPusherKnown = await fuzzPusher({ seed, count: pusher ?? (isPlain ? 5000 : 0) });
  return haveHeadsAgreed && haveStreamsAgreed && isPusherKnown ? 0 : 1;
}

function numberOf(option: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new RangeError(`--${option} must be a number of 0 or more, got ${value}.`);
}

async function fuzzHeads(seed: number, count: number): Promise<boolean> {
  if (count === 0) return true;
  const started = performance.now();
  const outcome = await runHeads({ seed, count, maxMismatches: MAX_MISMATCHES });
  for (const mismatch of outcome.mismatches) console.log(`\n${describeHeadMismatch(mismatch)}`);
  const { done, agreed, upgraded, plain, stricter, mismatches } = outcome;
  console.log(
    `${done} heads in ${secondsSince(started)} s: ${agreed} taken by both, ${upgraded} of them upgraded (${plain} as plain handshakes), ${stricter} by Node alone; ${mismatches.length} mismatches`,
  );
  return mismatches.length === 0;
}

async function fuzzStreams(seed: number, count: number): Promise<boolean> {
  if (count === 0) return true;
  const started = performance.now();
  const fuzzer = await StreamFuzzer.start(IN_FLIGHT);
  try {
    const { done, mismatches, complaints } = await runStreams(fuzzer, {
      seed,
      count,
      inFlight: IN_FLIGHT,
      maxMismatches: MAX_MISMATCHES,
      onProgress: (soFar) => {
        if (soFar % PROGRESS_EVERY === 0) console.log(`${soFar} streams in ${secondsSince(started)} s`);
      },
    });
    console.log(`${done} streams in ${secondsSince(started)} s: ${mismatches.length} mismatches`);
    for (const mismatch of mismatches) {
      console.log(`\n${describeMismatch(mismatch)}`);
      await showSmaller(fuzzer, mismatch.stream);
    }
    for (const complaint of complaints.slice(0, MAX_MISMATCHES)) console.log(`the worker says: ${complaint}`);
    return mismatches.length === 0 && complaints.length === 0;
  } finally {
    await fuzzer.stop();
  }
}

async function fuzzPusher(run: { seed: number; from?: number; count: number }): Promise<boolean> {
  if (run.count === 0) return true;
  const started = performance.now();
  const fuzzer = await PusherFuzzer.start();
  try {
    const { done, answers, problems, complaints } = await fuzzer.run(run);
    for (const problem of problems.slice(0, MAX_MISMATCHES))
      console.log(`\n${describePusherProblem(problem)}`);
    for (const complaint of complaints.slice(0, MAX_MISMATCHES)) console.log(`the farm says: ${complaint}`);
    console.log(
      `${done} Pusher clients in ${secondsSince(started)} s: ${answers} answers, ${problems.length} problems`,
    );
    return problems.length === 0 && complaints.length === 0;
  } finally {
    await fuzzer.stop();
  }
}

async function replayStream(seed: number, index: number): Promise<boolean> {
  const fuzzer = await StreamFuzzer.start(1);
  try {
    const stream = generateStream(seed, index);
    const mismatch = await fuzzer.check(stream);
    console.log(mismatch === undefined ? 'the two agree' : describeMismatch(mismatch));
    if (mismatch !== undefined) await showSmaller(fuzzer, stream);
    return mismatch === undefined;
  } finally {
    await fuzzer.stop();
  }
}

async function showSmaller(fuzzer: StreamFuzzer, stream: Parameters<typeof minimise>[0]): Promise<void> {
  const smaller = await minimise(stream, async (candidate) => (await fuzzer.check(candidate)) !== undefined);
  const mismatch = smaller === stream ? undefined : await fuzzer.check(smaller);
  if (mismatch !== undefined) console.log(`\nmade smaller:\n${describeMismatch(mismatch)}`);
  else console.log('\nalone it agrees, or cannot be made smaller');
}

function replayHead(seed: number, index: number): boolean {
  const mismatch = new HeadFuzzer().check(generateHead(seed, index));
  console.log(mismatch === undefined ? 'the two agree' : describeHeadMismatch(mismatch));
  return mismatch === undefined;
}

function secondsSince(started: number): string {
  return ((performance.now() - started) / 1000).toFixed(1);
}
