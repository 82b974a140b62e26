import { expect, it } from 'vitest';
import { nearest } from './nearest.ts';

const KNOWN = ['port', 'workers', 'maxConnections', 'maxConnectionsPerWorker'];

it.each([
  ['prot', 'port'],
  ['WORKER', 'workers'],
  ['maxConections', 'maxConnections'],
  ['maxConnectionPerWorkers', 'maxConnectionsPerWorker'],
  ['tls', undefined],
  ['completelyDifferent', undefined],
])('for %s the nearest known name is %s', (written, expected) => {
  expect(nearest(written, KNOWN)).toBe(expected);
});
