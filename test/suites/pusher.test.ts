import { cp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startServer } from '@roost/testing';
import type { FarmProcess } from '@roost/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from './run.ts';

/** What the SDK of Pusher for Node.js asks of a server, from its package on npm and unchanged. */

const require = createRequire(import.meta.url);
const COPY = fileURLToPath(new URL('./build/pusher', import.meta.url));
const APP = { id: '3', key: 'roost-key', secret: 'roost-secret' };

let farm: FarmProcess;

beforeAll(async () => {
  // Beside what its specs import, wherever npm has put the package itself.
  await rm(COPY, { recursive: true, force: true });
  await cp(dirname(require.resolve('pusher/package.json')), COPY, { recursive: true });
  farm = await startServer(['--workers', '2', '--drain-ms', '0'], {
    env: { ROOST_PUSHER_APP_ID: APP.id, ROOST_PUSHER_APP_KEY: APP.key, ROOST_PUSHER_APP_SECRET: APP.secret },
  });
});

afterAll(() => farm.stop());

describe('the remote specs of the SDK for Node.js', () => {
  it.each([
    ['trigger.js', 2],
    ['get.js', 3],
    ['proxy.js', 2],
  ])('pass: %s', async (file, count) => {
    const { exitCode, output } = await run(
      [require.resolve('mocha/bin/mocha'), `tests/remote/pusher/${file}`],
      {
        cwd: COPY,
        env: { PUSHER_URL: `http://${APP.key}:${APP.secret}@127.0.0.1:${farm.port}/apps/${APP.id}` },
      },
    );
    expect(output).toContain(`${count} passing`);
    expect(output).not.toContain('failing');
    expect(exitCode).toBe(0);
  });
});
