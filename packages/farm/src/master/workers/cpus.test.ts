import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { allowedCpus, parseCpuList } from './cpus.ts';

describe('a list of CPUs as the kernel writes it', () => {
  it.each([
    ['0', [0]],
    ['0-3', [0, 1, 2, 3]],
    ['0-2,5', [0, 1, 2, 5]],
    ['7,9-10,64-65', [7, 9, 10, 64, 65]],
  ])('%s is %j', (list, cpus) => {
    expect(parseCpuList(list)).toEqual(cpus);
  });
});

describe('the allowed CPUs', () => {
  it('are those that this process may run on', () => {
    expect(allowedCpus()).toHaveLength(availableParallelism());
    expect(allowedCpus()).toEqual(allowedCpus().toSorted((one, other) => one - other));
  });
});
