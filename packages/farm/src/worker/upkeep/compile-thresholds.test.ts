import { setFlagsFromString } from 'node:v8';
import { runInThisContext } from 'node:vm';
import { eventually } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { optimiseAsUsual, optimiseLater, optimiseMuchLater } from './compile-thresholds.ts';

/** Of %GetOptimizationStatus (src/runtime/runtime.h in V8). */
const OPTIMISED_BY_TURBOFAN = 1 << 6;
/** Of Node 20 and 24. */
const HAS_THRESHOLDS = /^(11\.3|13\.6)\./.test(process.versions.v8);
/** With V8's own thresholds 40 to 140 are enough, behind a warm-up 220, and while rows move 1,400. */
const CALLS = 600;

setFlagsFromString('--allow-natives-syntax');
const statusOf: (work: () => void) => number = runInThisContext('(work) => %GetOptimizationStatus(work)');

let lastWork = 0;

/** A function that never ran, of a source of its own: V8 remembers of a source that it was worth it. */
function newWork(): () => void {
  const start = ++lastWork;
  return runInThisContext(
    `(() => {
       let sum = ${start};
       return () => { for (let turn = 0; turn < 50; turn++) sum = (sum * 31 + 7) | 0; };
     })()`,
  );
}

function run(work: () => void, calls = CALLS): void {
  for (let call = 0; call < calls; call++) work();
}

/** V8 compiles in another thread, and what it has compiled runs from the next call on. */
function isOptimised(work: () => void): boolean {
  run(work, 1);
  return (statusOf(work) & OPTIMISED_BY_TURBOFAN) !== 0;
}

describe.skipIf(!HAS_THRESHOLDS)('while rows move', () => {
  afterEach(() => optimiseAsUsual());

  it('V8 does not optimise what it would optimise otherwise', async () => {
    optimiseMuchLater();
    const moving = newWork();
    run(moving);
    optimiseAsUsual();
    const usual = newWork();
    run(usual);
    await eventually(() => isOptimised(usual), { what: 'V8 has optimised what runs as often' });
    expect(isOptimised(moving)).toBe(false);
  });

  it('the end of a warm-up changes nothing, and the end of one of two moves neither', () => {
    optimiseMuchLater();
    optimiseMuchLater();
    optimiseLater();
    optimiseAsUsual();
    const work = newWork();
    run(work);
    expect(isOptimised(work)).toBe(false);
  });
});
