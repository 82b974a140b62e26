import { describe, expect, it } from 'vitest';
import type { ReturnAtOnce } from '../../api/app.ts';
import { Returns } from './returns.ts';

const RULE: ReturnAtOnce = { code: 4200, reason: 'come back', perSecond: 20 };

function returns(rules: readonly (ReturnAtOnce | undefined)[], workers: number) {
  const clock = { ms: 5000 };
  const all = new Returns({ returnAtOnceOf: (slot) => rules[slot] }, workers, () => clock.ms);
  const takenOf = (slot: number, tries = 1000) =>
    Array.from({ length: tries }, () => all.take(slot)).filter((code) => code !== undefined);
  return { clock, takenOf };
}

describe('the clients that a drain has come back at once', () => {
  it('are so many a second as the app allows, divided by the workers', () => {
    const { clock, takenOf } = returns([RULE], 4);
    expect(takenOf(0)).toHaveLength(0);
    clock.ms += 199;
    expect(takenOf(0)).toHaveLength(0);
    clock.ms += 1;
    expect(takenOf(0)).toEqual([RULE]);
    clock.ms += 1000;
    expect(takenOf(0)).toHaveLength(5);
    clock.ms += 9000;
    expect(takenOf(0)).toHaveLength(45);
  });

  it('are counted for each app by itself, and none are of an app without a rule', () => {
    const { clock, takenOf } = returns([RULE, { ...RULE, perSecond: 5 }, undefined], 1);
    clock.ms += 1000;
    expect([0, 1, 2].map((slot) => takenOf(slot).length)).toEqual([20, 5, 0]);
  });
});
