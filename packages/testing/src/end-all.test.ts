import { expect, it } from 'vitest';
import { endAll } from './end-all.ts';

it('endAll ends everything, the last first, also behind one that fails', async () => {
  const ended: number[] = [];
  const opened = [1, 2, 3].map((number) => async () => {
    await Promise.resolve();
    ended.push(number);
    if (number > 1) throw new Error(`${number} does not end`);
  });
  await expect(endAll(opened)).rejects.toThrow('3 does not end; Error: 2 does not end');
  expect(ended).toEqual([3, 2, 1]);
  expect(opened).toEqual([]);
});
