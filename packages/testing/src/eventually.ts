import { Deadline } from './deadline.ts';
import { TestingError } from './errors.ts';
import { MAX_PATIENCE } from './patience.ts';

/**
 * Default of every deadline in this package, in ms on a machine at rest: generous, because test machines are shared.
 * See {@link Deadline} for what a busy one is given.
 */
export const DEADLINE_MS = 10_000;

/** For waits that cannot follow the machine as they go on: as long as the default deadline can become, in ms. */
export const LONGEST_WAIT_MS = DEADLINE_MS * MAX_PATIENCE;

const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 50;

export interface EventuallyOptions {
  /** On a machine at rest; a busy one is given more ({@link Deadline}). Default 10,000. */
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
  const deadline = new Deadline(deadlineMs);
  let pauseMs = FIRST_PAUSE_MS;
  let lastFailure: unknown = 'it never settled';
  for (;;) {
    const attempt = await settleBy(deadline, claim);
    if (attempt.kind === 'result' && isHeld(attempt.result)) return attempt.result;
    if (attempt.kind === 'result') lastFailure = 'it was false';
    if (attempt.kind === 'failure') lastFailure = attempt.failure;
    if (attempt.kind === 'late' || deadline.isOver()) {
      throw new TestingError(
        'TESTING_DEADLINE',
        `Within ${deadline.inWords} it did not come true that ${what}: ${describe(lastFailure)}`,
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
  deadline: Deadline,
  claim: () => Result | Promise<Result>,
): Promise<Attempt<Result>> {
  const attempt = async (): Promise<Attempt<Result>> => {
    try {
      return { kind: 'result', result: await claim() };
    } catch (failure) {
      return { kind: 'failure', failure };
    }
  };
  return orLate(attempt(), deadline, () => ({ kind: 'late' }));
}

/** What the promise settles with, or what `late` returns or throws when the deadline is over before. */
async function orLate<Result>(
  promise: Promise<Result>,
  deadline: Deadline,
  late: () => Result,
): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const end = new Promise<void>((resolve) => {
    const look = (): void => {
      if (deadline.isOver()) resolve();
      else timer = setTimeout(look, deadline.nextStepMs).unref();
    };
    timer = setTimeout(look, deadline.nextStepMs).unref();
  });
  try {
    return await Promise.race([promise, end.then(late)]);
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
  const deadline = new Deadline(options.deadlineMs ?? DEADLINE_MS);
  return orLate(promise, deadline, () => {
    const seen = options.seen === undefined ? '' : ` Seen so far: ${options.seen()}`;
    throw new TestingError(
      'TESTING_DEADLINE',
      `Within ${deadline.inWords} it did not come true that ${options.what ?? 'the promise settles'}.${seen}`,
    );
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}

function describe(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure);
}
