import { describe, expect, it } from 'vitest';
import { whereStuck } from './where-stuck.ts';

function sample(...frames: readonly string[]): string {
  return ['Error', ...frames.map((frame) => `    at ${frame}`)].join('\n');
}

const TIMER = [
  'Timeout.tick [as _onTimeout] (file:///app.js:30:5)',
  'listOnTimeout (node:internal/timers:581:17)',
];

describe('where an event loop is stuck', () => {
  it('is the innermost function of all samples, at its line in the last one, and not what it calls', () => {
    const where = whereStuck([
      sample('hash (file:///app.js:3:9)', 'spin (file:///app.js:10:7)', ...TIMER),
      sample('spin (file:///app.js:11:7)', ...TIMER),
      sample('add (file:///app.js:5:9)', 'spin (file:///app.js:12:7)', ...TIMER),
    ]);
    expect(where).toEqual({
      stuckIn: 'spin (file:///app.js:12:7)',
      stack: [
        'The event loop is here:',
        '    at add (file:///app.js:5:9)',
        '    at spin (file:///app.js:12:7)',
        '    at Timeout.tick [as _onTimeout] (file:///app.js:30:5)',
        '    at listOnTimeout (node:internal/timers:581:17)',
      ].join('\n'),
    });
  });

  it('is the innermost frame where there is one sample, or all are the same', () => {
    const regexp = sample('RegExp.test (<anonymous>)', 'check (file:///app.js:3:9)', ...TIMER);
    expect(whereStuck([regexp])?.stuckIn).toBe('RegExp.test (<anonymous>)');
    expect(whereStuck([regexp, regexp])?.stuckIn).toBe('RegExp.test (<anonymous>)');
  });

  it('tells functions without a name apart by their file', () => {
    const where = whereStuck([
      sample('file:///one.js:1:1', 'file:///app.js:2:2'),
      sample('file:///two.js:1:1', 'file:///app.js:3:3'),
    ]);
    expect(where?.stuckIn).toBe('file:///app.js:3:3');
  });

  it('is the outermost frame of the last where the samples have nothing in common', () => {
    expect(whereStuck([sample('a (x.js:1:1)'), sample('b (y.js:1:1)', 'c (z.js:2:2)')])?.stuckIn).toBe(
      'c (z.js:2:2)',
    );
  });

  it('passes over samples without frames, and is unknown where there are no others', () => {
    expect(whereStuck([sample(), sample('a (x.js:1:1)'), sample()])?.stuckIn).toBe('a (x.js:1:1)');
    expect(whereStuck([sample(), sample()])).toBeUndefined();
    expect(whereStuck([])).toBeUndefined();
  });
});
