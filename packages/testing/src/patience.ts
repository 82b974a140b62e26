import { spawnSync } from 'node:child_process';

/** How long the fixed work takes on the machine that the deadlines were chosen on, at rest, in ms. */
const REFERENCE_MS = 120;

/** A start and some arithmetic: what a spec waits for is mostly the start of processes, and JavaScript in them. */
const FIXED_WORK =
  'let sum = 0; for (let i = 0; i < 3e7; i++) sum = (sum + i) | 0; process.exitCode = sum === 1 ? 1 : 0';

/** CPU time by which a process learns how much of a CPU it gets, in ms. A scheduler's slice is a few of them. */
const SAMPLE_MS = 40;

/** No deadline becomes longer than so many times itself: something that never comes has to fail. */
export const MAX_PATIENCE = 12;

/**
 * How many times longer than on a machine at rest everything is waited for: what `ROOST_TEST_PATIENCE` says, which
 * the runner's configuration measures at the start ({@link measurePatience}). 1 to {@link MAX_PATIENCE}; 1 without it.
 */
export function patience(): number {
  const wanted = process.env['ROOST_TEST_PATIENCE'];
  if (wanted === undefined) return 1;
  const factor = Number(wanted);
  if (!(factor > 0)) {
    throw new RangeError(
      `ROOST_TEST_PATIENCE is a number above 0, such as 3, got ${JSON.stringify(wanted)}.`,
    );
  }
  return bounded(factor);
}

/**
 * A time of a spec in whole ms, as much longer as this machine is slower, at the start or now: for the timeouts of a
 * server under test within which the spec itself has something to do, and for how long something may take.
 */
export function patient(ms: number): number {
  return Math.ceil(ms * Math.max(patience(), measureContention()));
}

/** Measures how much slower than at rest a process starts and works here now. Takes so long itself. */
export function measurePatience(): number {
  const from = performance.now();
  spawnSync(process.execPath, ['-e', FIXED_WORK], { stdio: 'ignore' });
  return bounded((performance.now() - from) / REFERENCE_MS);
}

/**
 * How many processes want the CPU that this one runs on, itself included: the time that it takes to use some CPU time.
 * Blocks for that long; a machine at rest gives 1.
 */
export function measureContention(): number {
  const from = performance.now();
  const usedFrom = process.cpuUsage();
  let usedMs = 0;
  while (usedMs < SAMPLE_MS) {
    const { user, system } = process.cpuUsage(usedFrom);
    usedMs = (user + system) / 1000;
  }
  return bounded((performance.now() - from) / usedMs);
}

function bounded(factor: number): number {
  return Math.min(Math.max(1, factor), MAX_PATIENCE);
}
