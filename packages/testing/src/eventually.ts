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
  const deadlineMs = options.deadlineMs ?? DEADLINE_MS;
  const deadlineAt = performance.now() + deadlineMs;
  let pauseMs = FIRST_PAUSE_MS;
  let lastFailure: unknown;
  for (;;) {
    try {
      const result: Result = await within<Result>(Promise.resolve(claim()), {
        deadlineMs: Math.max(1, deadlineAt - performance.now()),
        what: options.what ?? 'the claim settles',
      });
      if (isHeld(result)) return result;
      lastFailure = 'it was false';
    } catch (error) {
      lastFailure = error;
    }
    if (performance.now() >= deadlineAt) {
      throw new TestingError(
        'TESTING_DEADLINE',
        `Within ${deadlineMs} ms it did not come true that ${options.what ?? 'the claim holds'}: ${describe(lastFailure)}`,
        { cause: lastFailure },
      );
    }
    await pause(pauseMs);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
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
