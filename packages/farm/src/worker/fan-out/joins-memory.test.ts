import { seededRandom, testSeed } from '@roost/testing';
import { describe } from 'vitest';
import type { WorkerHarness } from '../fixtures/worker-harness.ts';
import { describeExactJoins } from './joins.contract.ts';

/** Up to so many ms. */
const LATE_MS = 10;

describe('on the embedded broker', () => {
  describeExactJoins((first) => (first === undefined ? {} : { beside: first }));
});

describe('with answers of the store that come later than what is published meanwhile', () => {
  const random = seededRandom(testSeed());

  function makeLate(worker: WorkerHarness): void {
    worker.isLost = (message) => {
      if (message.type !== 'stepped' || random(2) === 0) return false;
      // The payload is lent.
      const copy = structuredClone(message);
      const payload = message.payload === undefined ? {} : { payload: Buffer.from(message.payload) };
      setTimeout(() => worker.send({ type: 'broker', message: { ...copy, ...payload } }), random(LATE_MS));
      return true;
    };
  }

  describeExactJoins((first) => (first === undefined ? {} : { beside: first }), makeLate);
});
