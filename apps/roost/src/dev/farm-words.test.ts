import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../config/resolve.ts';
import type { Flags } from '../config/resolve.ts';
import { farmWords } from './farm-words.ts';

const config = (flags: Flags, environment: Readonly<Record<string, string>> = {}) =>
  resolveConfig({ flags, configPath: undefined, environment, folder: '/srv' });

const DEFAULTS = ['--workers', '2', '--warm-up-ms', '0', '--drain-ms', '0', '--stop-timeout-ms', '500'];

describe('the farm of roost dev', () => {
  it('is started with the same words, with two workers, and is ready and ends at once', () => {
    expect(farmWords(['app.ts', '--compression', 'on'], config({}), undefined)).toEqual([
      'app.ts',
      '--compression',
      'on',
      ...DEFAULTS,
    ]);
  });

  it('is started as was said, wherever that was', () => {
    const said = config(
      { workers: '1' },
      { ROOST_WARM_UP_MS: '100', ROOST_DRAIN_MS: '100', ROOST_STOP_TIMEOUT_MS: '100' },
    );
    expect(farmWords(['app.ts', '--workers', '1'], said, undefined)).toEqual(['app.ts', '--workers', '1']);
  });

  it('keeps the port that the kernel has chosen, and a port that was said', () => {
    const chosen = farmWords(['app.ts', '--port', '0'], config({ port: '0' }), 40_000);
    expect(chosen.slice(-2)).toEqual(['--port', '40000']);
    expect(farmWords(['app.ts'], config({ port: '9000' }), 9000)).toEqual(['app.ts', ...DEFAULTS]);
  });

  it('takes what stands behind -- as the application', () => {
    expect(farmWords(['--', 'app.ts'], config({}), undefined)).toEqual([...DEFAULTS, '--', 'app.ts']);
  });
});
