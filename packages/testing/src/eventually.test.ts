import { describe, expect, it } from 'vitest';
import { eventually, within } from './eventually.ts';

describe('eventually', () => {
  it('returns what the claim returned once it holds', async () => {
    let attempts = 0;
    const result = await eventually(() => {
      attempts += 1;
      if (attempts < 3) throw new Error('not yet');
      return `attempt ${attempts}`;
    });
    expect(result).toBe('attempt 3');
  });

  it('goes on while a predicate is false', async () => {
    let attempts = 0;
    expect(await eventually(() => (attempts += 1) === 4)).toBe(true);
    expect(attempts).toBe(4);
  });

  it('takes an assertion without a result, also an asynchronous one', async () => {
    let value = 0;
    setImmediate(() => {
      value = 1;
    });
    await eventually(async () => {
      await Promise.resolve();
      expect(value).toBe(1);
    });
  });

  it('fails at the deadline with what was wanted and the last failure', async () => {
    const claim = eventually(
      () => {
        throw new Error('it is 2');
      },
      { deadlineMs: 30, what: 'it is 1' },
    );
    await expect(claim).rejects.toMatchObject({
      code: 'TESTING_DEADLINE',
      message: expect.stringMatching(/^Within 30 ms.* it did not come true that it is 1: it is 2$/),
    });
  });

  it('fails at the deadline when the claim never settles', async () => {
    const claim = eventually(() => new Promise<true>(() => {}), { deadlineMs: 30, what: 'it settles' });
    await expect(claim).rejects.toThrow('did not come true that it settles: it never settled');
  });
});

describe('within', () => {
  it('shows what was seen at the deadline', async () => {
    const wait = within(new Promise(() => {}), { deadlineMs: 10, what: 'b arrives', seen: () => 'a' });
    await expect(wait).rejects.toThrow(
      /^Within 10 ms.* it did not come true that b arrives\. Seen so far: a$/,
    );
  });

  it('passes a rejection on', async () => {
    await expect(within(Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  });
});
