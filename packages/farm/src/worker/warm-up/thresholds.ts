import { setFlagsFromString } from 'node:v8';

interface Thresholds {
  readonly sooner: readonly string[];
  readonly later: readonly string[];
}

/**
 * How often a function must run before V8 optimises it, by the version of V8. A warm-up lasts some hundred milliseconds: with
 * V8's own thresholds most of what is hot would still wait for its turn at its end, and be compiled in the middle of the first
 * storm instead. Behind it what is hot is compiled, and the rest can wait longer than usual. Other versions keep V8's own.
 */
const THRESHOLDS: Readonly<Record<string, Thresholds>> = {
  // Node 20: bytes of bytecode that a function may run between two looks at it. V8's own is 67,584.
  '11.3': { sooner: ['--interrupt-budget=1000'], later: ['--interrupt-budget=270000'] },
  // Node 24: calls of a function. V8's own are 400, 3000 and 500.
  '13.6': {
    sooner: [
      '--invocation-count-for-maglev=30',
      '--invocation-count-for-turbofan=150',
      '--minimum-invocations-after-ic-update=20',
    ],
    later: [
      '--invocation-count-for-maglev=400',
      '--invocation-count-for-turbofan=6000',
      '--minimum-invocations-after-ic-update=500',
    ],
  },
};

const [major, minor] = process.versions.v8.split('.');
const thresholds = THRESHOLDS[`${major}.${minor}`];

/** From here on functions are optimised after a few calls. */
export function optimiseSooner(): void {
  for (const flag of thresholds?.sooner ?? []) setFlagsFromString(flag);
}

/** From here on functions are optimised after more calls than V8 asks for on its own. */
export function optimiseLater(): void {
  for (const flag of thresholds?.later ?? []) setFlagsFromString(flag);
}
