import { TestingError } from './errors.ts';

/** Default of every deadline in this package, in ms: generous, because test machines are shared. */
export const DEADLINE_MS = 10_000;

const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 50;

export interface EventuallyOptions {
  /** Default 10,000. */
  readonly deadlineMs?: number;
  /** What is waited for, for the error: "the worker is restarted". */
  readonly what?: string;
}

/**
 * Polls until a claim holds, and returns what it returned. A claim holds when it neither throws, rejects nor
 * returns `false`; so both `() => expect(x).toBe(1)` and `() => x === 1` can be given.
 *
 * Rejects with `TESTING_DEADLINE` and the last failure as its cause.
 */
export async function eventually<Result>(
  claim: () => Result | Promise<Result>,
  options: EventuallyOptions = {},
): Promise<Exclude<Result, false>> {
  const { deadlineMs = DEADLINE_MS, what = 'the claim holds' } = options;
  const deadlineAt = performance.now() + deadlineMs;
  let pauseMs = FIRST_PAUSE_MS;
  let lastFailure: unknown = 'it never settled';
  for (;;) {
    const attempt = await settleBy(deadlineAt, claim);
    if (attempt.kind === 'result' && isHeld(attempt.result)) return attempt.result;
    if (attempt.kind === 'result') lastFailure = 'it was false';
    if (attempt.kind === 'failure') lastFailure = attempt.failure;
    if (performance.now() >= deadlineAt) {
      throw new TestingError(
        'TESTING_DEADLINE',
        `Within ${deadlineMs} ms it did not come true that ${what}: ${describe(lastFailure)}`,
        { cause: lastFailure },
      );
    }
    await pause(pauseMs);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

type Attempt<Result> =
  | { readonly kind: 'result'; readonly result: Result }
  | { readonly kind: 'failure'; readonly failure: unknown }
  | { readonly kind: 'late' };

/** Tries the claim once; an attempt that does not settle by the deadline tells nothing. */
async function settleBy<Result>(
  deadlineAt: number,
  claim: () => Result | Promise<Result>,
): Promise<Attempt<Result>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Attempt<Result>>((resolve) => {
    timer = setTimeout(() => resolve({ kind: 'late' }), Math.max(1, deadlineAt - performance.now()));
    timer.unref();
  });
  const attempt = async (): Promise<Attempt<Result>> => {
    try {
      return { kind: 'result', result: await claim() };
    } catch (failure) {
      return { kind: 'failure', failure };
    }
  };
  try {
    return await Promise.race([attempt(), late]);
  } finally {
    clearTimeout(timer);
  }
}

function isHeld<Result>(result: Result): result is Exclude<Result, false> {
  return result !== false;
}

/** Waits for a promise, but not longer than the deadline. `seen` adds to the error what is known by then. */
export async function within<Result>(
  promise: Promise<Result>,
  options: EventuallyOptions & { readonly seen?: () => string } = {},
): Promise<Result> {
  const deadlineMs = options.deadlineMs ?? DEADLINE_MS;
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const seen = options.seen === undefined ? '' : ` Seen so far: ${options.seen()}`;
      reject(
        new TestingError(
          'TESTING_DEADLINE',
          `Within ${Math.round(deadlineMs)} ms it did not come true that ${options.what ?? 'the promise settles'}.${seen}`,
        ),
      );
    }, deadlineMs);
    timer.unref();
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}

function describe(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure);
}
