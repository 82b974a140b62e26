import { FarmError } from '@roost/farm';
import { describe, expect, it } from 'vitest';
import { resolveConfig } from './config/resolve.ts';
import { startFailure } from './start-failure.ts';

const { settings } = resolveConfig({ flags: {}, configPath: undefined, environment: {}, folder: '/' });

describe('a start that fails', () => {
  it('names the port that is in use', () => {
    const error = new FarmError('FARM_ERR_PORT_IN_USE', 'EADDRINUSE');
    expect(startFailure(error, settings)).toEqual({
      sentence:
        'Port 8080 of 0.0.0.0 is in use. Choose another with --port, or stop the program that listens there.',
      exitCode: 69,
    });
  });

  it.each([
    ['FARM_ERR_LISTEN', 71],
    ['FARM_ERR_DESCRIPTORS', 71],
    ['POLLER_UNAVAILABLE', 71],
    ['FARM_ERR_WORKER_BOOTSTRAP', 70],
    ['FARM_ERR_OPTION', 78],
  ])('with %s has exit code %i and its reason in one line', (code, exitCode) => {
    const error = Object.assign(new Error('It failed:\n    at once.'), { code });
    expect(startFailure(error, settings)).toEqual({ sentence: 'It failed:', exitCode });
  });

  it('says what the application did wrong without the names of our errors', () => {
    const reason =
      'Worker 0 could not start: UserAppError: The application /a.js has no default export.\n    at x';
    expect(startFailure(new FarmError('FARM_ERR_WORKER_BOOTSTRAP', reason), settings)?.sentence).toBe(
      'The application /a.js has no default export.',
    );
  });

  it('of an unforeseen kind is left to show its stack', () => {
    expect(startFailure(new TypeError('x is not a function'), settings)).toBeUndefined();
    expect(startFailure('nothing', settings)).toBeUndefined();
  });
});
