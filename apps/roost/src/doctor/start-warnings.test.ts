import type { Log, LogFields } from '@roost/farm';
import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../config/resolve.ts';
import { warnOfHost } from './start-warnings.ts';

function not(): void {
  throw new Error('Only warnings are logged.');
}

function warned(environment: Readonly<Record<string, string>>): { fields: LogFields; message: string }[] {
  const lines: { fields: LogFields; message: string }[] = [];
  const log: Log = {
    debug: not,
    info: not,
    warn: (fields, message) => lines.push({ fields, message }),
    error: not,
    fatal: not,
  };
  const config = resolveConfig({ flags: {}, configPath: undefined, environment, folder: '/srv' });
  warnOfHost(config, log);
  return lines;
}

describe('a start', () => {
  it('warns in three lines of what no host has, and says how much more there is', () => {
    const lines = warned({ ROOST_MAX_CONNECTIONS: '100000000' });
    expect(lines).toHaveLength(3);
    for (const { fields, message } of lines) {
      expect(message).toBe('the host lacks something: "roost doctor" tells more');
      expect(fields).toMatchObject({
        connections: 100_000_000,
        check: expect.any(String),
        fix: expect.any(String),
      });
    }
    expect(lines[0]?.fields).toMatchObject({ check: 'memory' });
    expect(lines[2]?.fields['more']).toBeGreaterThan(0);
  });

  it('judges for few connections where nobody has said how many', () => {
    for (const { fields } of warned({})) expect(fields['connections']).toBe(10_000);
    expect(warned({ ROOST_MAX_CONNECTIONS: '10', ROOST_WORKERS: '1' })).toEqual([]);
  });
});
