import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { LONGEST_WAIT_MS } from '@roost/testing';
import type { FarmProcess } from '@roost/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket as WsWebSocket } from 'ws';
import { session } from './clients/session.mjs';
import { connect, startSharedFarm } from './harness/system.ts';

const run = promisify(execFile);
const CHROMIUM = '/usr/bin/chromium';
/** Debian's, for which python3-websockets is packaged. */
const PYTHON = '/usr/bin/python3';
/** A newer Node than the one that runs the tests, such as the one of the container image. */
const NEWER_NODE = process.env['NEWER_NODE'];

/** What every client sees: clients/session.mjs says what it does for it. */
const SEEN = {
  isCompressed: false,
  text: 'Hello-µ@ßöäüàá-UTF-8!! 🐓',
  empty: '',
  binary: [0, 255, 254, 128],
  long: true,
  inOrder: true,
  closedByUs: { code: 4321, reason: 'bye, ✓', wasClean: true },
  publication: 'published',
  closedWithoutCode: true,
  tooLarge: 1009,
  refused: true,
};

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function hasWebsockets(): Promise<boolean> {
  try {
    await run(PYTHON, ['-c', 'import websockets']);
    return true;
  } catch {
    return false;
  }
}

/** Says why a client is not tried. */
function missing(what: string): true {
  process.stderr.write(`Not tried with ${what}\n`);
  return true;
}

const lacksChromium = !isExecutable(CHROMIUM) && missing(`Chromium: there is no ${CHROMIUM}.`);
const lacksWebsockets =
  !(await hasWebsockets()) && missing('Python: install python3-websockets (Debian) to do so.');
const lacksNewerNode =
  NEWER_NODE === undefined && missing('a newer Node: name its binary in NEWER_NODE to do so.');

async function sessionOf(program: string, args: readonly string[]): Promise<unknown> {
  const { stdout } = await run(program, args, { timeout: LONGEST_WAIT_MS });
  return JSON.parse(stdout);
}

function script(name: string): string {
  return fileURLToPath(new URL(`./clients/${name}`, import.meta.url));
}

describe.each([
  { isCompressed: false, args: [] },
  // All messages, so that they all take this way.
  { isCompressed: true, args: ['--compression', 'on', '--min-compress-bytes', '0'] },
])('served alike, with compression: $isCompressed, are', ({ isCompressed, args }) => {
  const seenByAll = { ...SEEN, isCompressed };
  let farm: FarmProcess;
  beforeAll(async () => {
    farm = await startSharedFarm(args);
  });
  afterAll(() => farm.stop());

  it('ws', async () => {
    expect(await session(WsWebSocket, farm.url)).toEqual(seenByAll);
  });

  it('ws, in fragments and with pings', async () => {
    const client = await connect(farm, '/echo');
    client.socket.send('in ', { fin: false });
    client.socket.ping('between');
    client.socket.send('three ', { fin: false });
    client.socket.send('fragments', { fin: true });
    expect((await client.nextMessage()).text).toBe('in three fragments');
    await client.roundTrip();
  });

  it("Node's own WebSocket", async () => {
    const flags = typeof globalThis.WebSocket === 'undefined' ? ['--experimental-websocket'] : [];
    const nodeArgs = ['--no-warnings', ...flags, script('node-client.mjs'), farm.url];
    // It did not always know compression.
    expect(await sessionOf(process.execPath, nodeArgs)).toEqual({
      ...SEEN,
      isCompressed: expect.any(Boolean),
    });
  });

  it.skipIf(lacksNewerNode)('the WebSocket of a newer Node', async () => {
    expect(await sessionOf(NEWER_NODE ?? '', [script('node-client.mjs'), farm.url])).toEqual({
      ...SEEN,
      isCompressed: expect.any(Boolean),
    });
  });

  it.skipIf(lacksWebsockets)("Python's websockets, in fragments and with pings", async () => {
    expect(await sessionOf(PYTHON, [script('websockets_client.py'), farm.url])).toEqual({
      ...seenByAll,
      fragments: 'in three fragments',
      ping: true,
    });
  });

  it.skipIf(lacksChromium)('Chromium', async () => {
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu'],
    });
    try {
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${farm.port}/health/live`);
      const seen: unknown = await page.evaluate(`(${session.toString()})(WebSocket, '${farm.url}')`);
      expect(seen).toEqual(seenByAll);
    } finally {
      await browser.close();
    }
  });
});
