import { setFlagsFromString } from 'node:v8';

type Level = 'own' | 'sooner' | 'later' | 'muchLater';

/**
 * How often a function must run before V8 optimises it, by the version of V8. A warm-up lasts some hundred milliseconds: with
 * V8's own thresholds most of what is hot would still wait for its turn at its end, and be compiled in the middle of the first
 * storm instead. Behind it what is hot is compiled, and the rest can wait longer than usual. What moves rows runs for a few thousand
 * of them, and then mostly never again in that process: to optimise it took 40 µs a row, which is twice what the row itself takes,
 * and pays only behind some ten thousands. Other versions keep V8's own.
 */
const THRESHOLDS: Readonly<Record<string, Readonly<Record<Level, readonly string[]>>>> = {
  // Node 20: bytes of bytecode that a function may run between two looks at it.
  '11.3': {
    own: ['--interrupt-budget=67584'],
    sooner: ['--interrupt-budget=1000'],
    later: ['--interrupt-budget=270000'],
    muchLater: ['--interrupt-budget=2700000'],
  },
  // Node 24: calls of a function.
  '13.6': {
    own: [
      '--invocation-count-for-maglev=400',
      '--invocation-count-for-turbofan=3000',
      '--minimum-invocations-after-ic-update=500',
    ],
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
    muchLater: [
      '--invocation-count-for-maglev=400',
      '--invocation-count-for-turbofan=60000',
      '--minimum-invocations-after-ic-update=500',
    ],
  },
};

const [major, minor] = process.versions.v8.split('.');
const thresholds = THRESHOLDS[`${major}.${minor}`];

/** Where nothing moves. */
let usual: Level = 'own';
/** Moves under way, of which a worker has one, and a test several. */
let moves = 0;

/** From here on functions are optimised after a few calls. */
export function optimiseSooner(): void {
  set('sooner');
}

/** From here on functions are optimised after more calls than V8 asks for on its own. */
export function optimiseLater(): void {
  usual = 'later';
  set(moves === 0 ? usual : 'muchLater');
}

/** Rows begin to move: until {@link optimiseAsUsual} what runs for them alone is not worth it. */
export function optimiseMuchLater(): void {
  moves++;
  set('muchLater');
}

export function optimiseAsUsual(): void {
  if (moves === 0) return;
  moves--;
  if (moves === 0) set(usual);
}

function set(level: Level): void {
  for (const flag of thresholds?.[level] ?? []) setFlagsFromString(flag);
}
