import { describe, expect, it } from 'vitest';
import { Counters } from '../api/counters.ts';
import type { LogFields } from '../api/log.ts';
import { Guard } from './guard.ts';

function nothing(): void {
  // Only errors are of interest.
}

function rig(error: (fields: LogFields, message: string) => void): { guard: Guard; counters: Counters } {
  const counters = new Counters();
  return {
    guard: new Guard(counters, { debug: nothing, info: nothing, warn: nothing, error, fatal: nothing }),
    counters,
  };
}

describe('a guarded callback', () => {
  it('ends where it throws; that is counted, and logged with its stack', () => {
    const lines: [LogFields, string][] = [];
    const { guard, counters } = rig((fields, message) => lines.push([fields, message]));
    const given: number[] = [];
    const callback = guard.wrap('counting', (count: number) => {
      given.push(count);
      if (count === 2) throw new Error('two is too many');
    });
    expect([callback(1), callback(2), callback(3)]).toEqual([true, false, true]);
    expect(given).toEqual([1, 2, 3]);
    expect(counters.get('master_errors')).toBe(1);
    expect(lines).toEqual([
      [
        { where: 'counting', error: expect.stringMatching(/two is too many\n +at /), times: 1 },
        'master failed at something; it goes on',
      ],
    ]);
  });

  it('that fails without end is logged once a second for each place, and counted each time', () => {
    const places: unknown[] = [];
    const { guard, counters } = rig(({ where }) => places.push(where));
    for (let time = 0; time < 1000; time++) {
      guard.failed('accepting', new Error('again'));
      guard.failed('elsewhere', 'a string');
    }
    expect(counters.get('master_errors')).toBe(2000);
    expect(places).toEqual(['accepting', 'elsewhere']);
  });

  it('is guarded against the log, too', () => {
    const { guard, counters } = rig(() => {
      throw new Error('the disk is full');
    });
    expect(
      guard.run('logging', () => {
        throw new Error('at once');
      }),
    ).toBe(false);
    expect(counters.get('master_errors')).toBe(1);
  });
});
