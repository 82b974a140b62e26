/** Where a blocked event loop is, for the log. */
export interface WhereStuck {
  /** The innermost function that all samples have in common, with its place in the last of them: `spin (file:///app.js:3:5)`. */
  readonly stuckIn: string;
  /** The last sample, in the form of the stack of an error. */
  readonly stack: string;
}

const FRAME = /^ {4}at (.+)$/;
/** Line and column, behind the path of a frame. */
const PLACE = /:\d+:\d+(?=\)?$)/;

/**
 * Makes one answer of several stacks, each as an Error has it. A loop calls functions that are innocent, and other ones
 * from sample to sample; what all samples have in common, counted from the event loop, is where it is. Undefined when
 * none has a frame: between two microtasks there is none.
 */
export function whereStuck(samples: readonly string[]): WhereStuck | undefined {
  // From the event loop inwards.
  const stacks = samples.map((sample) => framesOf(sample).toReversed()).filter(({ length }) => length > 0);
  const last = stacks.at(-1);
  if (last === undefined) return undefined;
  let common = 0;
  while (
    common < last.length &&
    stacks.every((stack) => functionOf(stack[common]) === functionOf(last[common]))
  )
    common++;
  const stuckIn = last[common - 1] ?? last[0] ?? '';
  const lines = last.toReversed().map((frame) => `    at ${frame}`);
  return { stuckIn, stack: ['The event loop is here:', ...lines].join('\n') };
}

function framesOf(sample: string): string[] {
  return sample.split('\n').flatMap((line) => FRAME.exec(line)?.[1] ?? []);
}

/** A function that loops is at another line in each sample. */
function functionOf(frame = ''): string {
  return frame.replace(PLACE, '');
}
