import { setFlagsFromString } from 'node:v8';

/** Four times V8's own of Node 20, in bytes of bytecode that a function may run between two looks at it. */
const INTERRUPT_BUDGET = 270_000;

/**
 * Lets V8 optimise the functions of this process later than usual. The master runs the same few functions once for each
 * connection: V8 would optimise them in the middle of the first storm, at more than what a thousand connections cost. Later
 * versions of V8 have a cheap compiler for that time, and no such threshold.
 */
export function optimiseLater(): void {
  if (process.versions.v8.startsWith('11.')) setFlagsFromString(`--interrupt-budget=${INTERRUPT_BUDGET}`);
}
