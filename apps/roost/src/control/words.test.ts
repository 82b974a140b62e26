import { describe, expect, it } from 'vitest';
import { progressInWords } from './words.ts';

const REPORT = {
  kind: 'reload',
  moved: 16,
  left: 84,
  closed: 1,
  lost: 0,
  rate: 8,
  pauseP99Ms: 12,
  pauseMaxMs: 15,
  worker: 1,
  of: 2,
  seconds: 2,
} as const;

describe('a line of progress', () => {
  it('says where the change is, and what it has cost', () => {
    expect(progressInWords(REPORT)).toBe(
      'reload: worker 1 of 2, 16 moved, 84 left, 1 closed, 8/s, pause p99 12 ms',
    );
    expect(progressInWords({ ...REPORT, lost: 3 })).toContain('1 closed, 3 lost');
  });

  it('counts no workers where there is no list of them, as with a canary', () => {
    expect(progressInWords({ ...REPORT, kind: 'canary', worker: 0, of: 0 })).toBe(
      'canary: 16 moved, 84 left, 1 closed, 8/s, pause p99 12 ms',
    );
  });
});
