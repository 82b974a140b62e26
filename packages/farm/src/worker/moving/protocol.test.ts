import { describe, expect, it } from 'vitest';
import { explore } from './fixtures/exploration.ts';

const BOUNDS = { publications: 2, batches: 1, faults: 2 };

describe('a row that moves, in every order in which things can happen', () => {
  it(
    'is served by one worker at a time, and gets every publication once and in order',
    { timeout: 120_000 },
    () => {
      const { states, ends, problems } = explore({}, BOUNDS);
      expect([...problems]).toEqual([]);
      // So many that a protocol that does nothing cannot pass.
      expect(states).toBeGreaterThan(20_000);
      expect(ends).toBeGreaterThan(200);
    },
  );

  it('does so again when a batch that did not move is tried again', { timeout: 120_000 }, () => {
    const { problems } = explore({}, { publications: 1, batches: 2, faults: 1 });
    expect([...problems]).toEqual([]);
  });

  it('gets publications twice from workers that do not seal what is pending', () => {
    const { problems } = explore({ sealsNothing: true }, { publications: 2, batches: 1, faults: 0 });
    expect(problems.keys()).toContain('repeated, or out of order');
  });

  it('misses publications if the source keeps nothing for the way back', () => {
    const { problems } = explore({ sourceKeepsNothing: true }, { publications: 2, batches: 1, faults: 1 });
    expect([...problems.keys()].join()).toContain('missed');
  });

  it('misses publications if the target keeps nothing behind the mark', () => {
    const { problems } = explore({ targetKeepsNothing: true }, { publications: 2, batches: 1, faults: 0 });
    expect([...problems.keys()].join()).toContain('missed');
  });
});
