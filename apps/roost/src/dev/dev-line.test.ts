import { describe, expect, it } from 'vitest';
import { devLine, ownLine } from './dev-line.ts';

const START = { level: 'info', time: '2026-11-29T10:20:30.456Z' };
const shown = (fields: object) => devLine(JSON.stringify({ ...START, ...fields }));

describe('a line of a farm that is developed on', () => {
  it('is told of as news when the farm is ready', () => {
    const farm = { port: 8080, url: 'http://localhost:8080', workers: [{}, {}], broker: 'memory' };
    expect(shown({ ...farm, msg: 'farm ready' })).toEqual({
      kind: 'ready',
      farm: { port: 8080, url: 'http://localhost:8080', workerCount: 2, broker: 'memory' },
    });
  });

  it('is told of as news when the admin listener is open', () => {
    const dashboard = 'http://127.0.0.1:8081/#token=abc';
    expect(
      shown({ dashboard, metrics: 'http://127.0.0.1:8081/metrics', msg: 'admin listener open' }),
    ).toEqual({
      kind: 'dashboard',
      url: dashboard,
    });
  });

  it.each([
    { msg: 'worker ready', worker: 0 },
    { msg: 'farm draining', drainMs: 0 },
    { msg: 'broker state', state: 'ready', reason: "The embedded broker in the farm's master is ready." },
    { msg: 'readiness changed', ready: true },
    { level: 'warn', msg: 'fewer connections fit than are wanted: raise the limit of open files' },
  ])('is left out when everybody knows it: $msg', (fields) => {
    expect(shown(fields)).toEqual({ kind: 'nothing' });
  });

  it('has all that it says when it is a warning, or of the broker', () => {
    expect(shown({ level: 'warn', msg: 'broker warning', reason: 'no rights' })).toEqual({
      kind: 'text',
      text: '10:20:30.456 WARN  broker warning reason="no rights"\n',
    });
    expect(shown({ msg: 'broker state', state: 'away', reason: 'Redis' })).toMatchObject({ kind: 'text' });
    expect(shown({ msg: 'readiness changed', ready: false })).toMatchObject({ kind: 'text' });
    expect(shown({ msg: 'farm started, but is not ready yet', reasons: ['Redis is away.'] })).toMatchObject({
      text: expect.stringMatching(/^[\d:.]+ not ready yet: Redis is away\.\n$/),
    });
  });

  it('shows the stack of an error line by line', () => {
    const error = 'Error: no\n    at open (/app.ts:3:1)\n    at \u001b[2J';
    expect(shown({ level: 'error', hook: 'open', error, msg: 'app hook failed' })).toEqual({
      kind: 'text',
      text: '10:20:30.456 ERROR app hook failed hook=open\n    Error: no\n        at open (/app.ts:3:1)\n        at \\u001b[2J\n',
    });
  });

  it.each(['hello', '{"level":"info"', '{"level":"info"}', '{"a":1}', ''])(
    'is left as it is when the app has printed it: %s',
    (line) => {
      expect(devLine(line)).toEqual({ kind: 'text', text: `${line}\n` });
    },
  );
});

it('a line of its own has the time, and nothing that moves a cursor', () => {
  expect(ownLine('a\u001b b', new Date(START.time))).toBe('10:20:30.456 a\\u001b b\n');
});
