import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Log, LogFields } from '@roost/farm';
import { listenLocally } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resolveConfig, type ResolvedConfig } from '../config/resolve.ts';
import { openAdmin } from './open-admin.ts';

const other = createServer();
let taken: number;
let lines: { readonly fields: LogFields; readonly message: string }[];
const log: Log = {
  debug: note,
  info: note,
  warn: note,
  error: note,
  fatal: note,
};

function note(fields: LogFields, message: string): void {
  lines.push({ fields, message });
}

function configOf(...flags: readonly (readonly [string, string])[]): ResolvedConfig {
  return resolveConfig({
    flags: Object.fromEntries(flags),
    configPath: undefined,
    environment: {},
    folder: '/srv',
  });
}

beforeEach(async () => {
  lines = [];
  taken = await listenLocally(other);
});
afterEach(async () => {
  other.close();
  await once(other, 'close');
});

describe('an admin port that is in use', () => {
  it('costs the listener alone when nobody has asked for it, and is logged', async () => {
    const { settings, origins } = configOf();
    const listener = await openAdmin({ settings: { ...settings, 'admin.port': taken }, origins }, log);
    expect(listener).toBeUndefined();
    expect(lines).toEqual([
      {
        fields: { port: taken },
        message:
          'no admin listener: its port is in use. Choose another with --admin-port, or turn it off with --admin-port off',
      },
    ]);
  });

  it('is an error when it was asked for', async () => {
    await expect(openAdmin(configOf(['admin.port', String(taken)]), log)).rejects.toMatchObject({
      code: 'ADMIN_ERR_LISTEN',
      reason: 'EADDRINUSE',
    });
  });
});

it('an admin listener that is off opens nothing and says nothing', async () => {
  expect(await openAdmin(configOf(['admin.port', 'off']), log)).toBeUndefined();
  expect(lines).toEqual([]);
});

it('an admin listener says where it is, also on IPv6', async () => {
  for (const [host, shown] of [
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '[::1]'],
  ] as const) {
    const listener = await openAdmin(configOf(['admin.port', '0'], ['admin.host', host]), log);
    expect(lines.at(-1)).toEqual({
      fields: {
        dashboard: expect.stringMatching(/^http:\/\/[^/]+\/#token=[\w-]{32}$/),
        metrics: `http://${shown}:${listener?.port}/metrics`,
      },
      message: 'admin listener open',
    });
    const response = await fetch(`http://${shown}:${listener?.port}/metrics`);
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
    await listener?.close();
  }
});
