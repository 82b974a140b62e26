import { accessSync, constants } from 'node:fs';
import { createServer } from 'node:net';
import { endAll, eventually, freePort, listenLocally, TestClient } from '@roost/testing';
import { chromium } from 'playwright-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startDev } from './fixtures/dev-process.ts';
import type { DevProcess } from './fixtures/dev-process.ts';
import { projectForAll } from './fixtures/project.ts';
import { run } from './fixtures/system-test.ts';

const CHROMIUM = '/usr/bin/chromium';

const project = projectForAll();
const opened: (() => Promise<unknown>)[] = [];
afterEach(() => endAll(opened));

const APP = `import { accept, defineApp } from '@roost/farm';
import { word } from './word.ts';
export default defineApp({
  upgrade: () => accept(),
  open: (connection) => void connection.send(word()),
});
`;
const word = (text: string): string => `export const word = (): string => '${text}';\n`;

beforeEach(() => {
  project().write('package.json', '{ "type": "module" }');
  project().write('app.ts', APP);
  project().write('word.ts', word('one'));
});

function dev(words: readonly string[] = ['app.ts']): DevProcess {
  const started = startDev([...words, '--port', '0', '--host', '127.0.0.1'], project().folder);
  opened.push(() => started.stop());
  return started;
}

/** A client that tries until it is let in, as one that reconnects does. */
async function connect(port: number, path = '/'): Promise<TestClient> {
  const client = await eventually(() => TestClient.connect(`ws://127.0.0.1:${port}${path}`), {
    what: 'a client gets in',
    deadlineMs: 30_000,
  });
  opened.push(() => client.terminate());
  return client;
}

describe('roost dev', () => {
  it('starts again when a module that the app imports changes, and clients come back to the same port', async () => {
    const farm = dev();
    const port = await farm.port();
    const before = await connect(port);
    expect((await before.nextMessage()).text).toBe('one');
    project().write('word.ts', word('two'));
    expect((await before.closed).code).toBe(1001);
    const after = await connect(port);
    expect((await after.nextMessage()).text).toBe('two');
    await farm.prints(/^[\d:.]+ word\.ts changed: starting again\n[\d:.]+ ready again after [\d.]+ s\n$/m);
  });

  it('says what is wrong with an app, and waits for the change that mends it', async () => {
    const farm = dev();
    const port = await farm.port();
    project().write('word.ts', `${word('three')}export default {{\n`);
    await farm.prints(/cannot be loaded: SyntaxError: [^\n]*\(\/[^\n]*\/word\.ts:2\)\n/);
    await farm.prints(/the farm has ended \(exit code 70\): waiting for a change\n/);
    project().write('word.ts', word('three'));
    expect((await (await connect(port)).nextMessage()).text).toBe('three');
  });

  it('starts again when a module is written that was missing, and watches it from then on', async () => {
    project().write('app.ts', APP.replace('./word.ts', './later/word.ts'));
    const farm = dev();
    await farm.prints(/app\.ts imports \/[^\n]*\/later\/word\.ts, and there is no such file\n/);
    await farm.prints(/waiting for a change\n/);
    project().write('later/word.ts', word('four'));
    const port = await farm.port();
    expect((await (await connect(port)).nextMessage()).text).toBe('four');
    project().write('later/word.ts', word('five'));
    await farm.prints(/ready again/);
    expect((await (await connect(port)).nextMessage()).text).toBe('five');
  });

  it('starts again when its configuration file changes', async () => {
    const config = project().write('roost.yaml', 'workers: 1\n');
    const farm = dev(['app.ts', '--config', config]);
    await farm.prints(/\(1 worker, no Redis\), watching \d+ files?/);
    project().write('roost.yaml', 'workers: none\n');
    await farm.prints(/workers \(line 1 of [^\n]*roost\.yaml\) must be an integer[^\n]*\n/);
    await farm.prints(/exit code 78\): waiting for a change\n/);
    project().write('roost.yaml', 'workers: 1\n');
    await farm.prints(/ready again/);
  });

  it('leaves what the app prints as it is, and shows errors in full', async () => {
    project().write(
      'app.ts',
      APP.replace('void connection.send(word())', "{ console.log('heard'); throw new Error(word()); }"),
    );
    const farm = dev();
    await connect(await farm.port());
    await farm.prints(/^heard$/m);
    await farm.prints(
      /^[\d:.]+ ERROR app hook failed [^\n]*hook=open\n {4}Error: one\n {8}at [^\n]*app\.ts:5:/m,
    );
  });

  it('says where the dashboard is, with a token that stays over all starts', async () => {
    const farm = dev(['app.ts', '--admin-port', String(await freePort())]);
    const { origin, hash } = new URL((await farm.prints(/ dashboard on (http:\S+)\n/))[1] ?? '');
    const look = async (path: string, headers = {}): Promise<number> =>
      (await fetch(origin + path, { headers: { Connection: 'close', ...headers } })).status;
    const shown = { Authorization: `Bearer ${hash.replace('#token=', '')}` };
    expect([await look('/api/overview', shown), await look('/api/overview')]).toEqual([200, 401]);
    // Nobody has chosen it, so that metrics need none.
    expect(await look('/metrics')).toBe(200);
    project().write('word.ts', word('seven'));
    await farm.prints(/ready again/);
    expect(await look('/api/overview', shown)).toBe(200);
    // Said once.
    expect(farm.output.match(/dashboard on/g)).toHaveLength(1);
  });

  it('tells of a start in two lines, without those of workers and broker', async () => {
    const farm = dev();
    await farm.prints(/API key until you end this: \S+\n/);
    // A busy machine may have stopped a worker for a moment, which is worth a line.
    const output = farm.output.replaceAll(/^.* WARN .*\n/gm, '');
    expect(output).toMatch(
      /^[\d:.]+ ready on http:\/\/\S+ \(2 workers, no Redis\), watching \d+ files?\n[\d:.]+ API key[^\n]*\n$/,
    );
  });
});

describe('the end of roost dev', () => {
  it('is one Ctrl-C, which leaves nothing', async () => {
    const farm = dev();
    await connect(await farm.port());
    farm.interrupt();
    expect(await farm.exited).toBe(0);
    await farm.nothingIsLeft();
  });

  it('is one Ctrl-C while it waits for a change', async () => {
    project().write('app.ts', 'export default {{\n');
    const farm = dev();
    await farm.prints(/waiting for a change\n/);
    farm.interrupt();
    expect(await farm.exited).toBe(0);
    await farm.nothingIsLeft();
  });

  it('leaves nothing when it is killed', async () => {
    const farm = dev();
    await farm.port();
    farm.kill('SIGKILL');
    await farm.nothingIsLeft();
  });

  it('is at its start when the port is in use, there is no app, or the app cannot be one', async () => {
    const server = createServer();
    const port = await listenLocally(server);
    const app = `${project().folder}/app.ts`;
    const inUse = await run(['dev', app, '--port', String(port), '--host', '127.0.0.1']);
    server.close();
    expect(inUse).toMatchObject({
      exitCode: 69,
      stderr: expect.stringMatching(/^Port \d+ of 127\.0\.0\.1 is in use\./),
    });
    expect(await run(['dev'])).toEqual({
      exitCode: 78,
      stdout: '',
      stderr: 'roost dev needs an application to watch, and got none. Name it: roost dev app.ts\n',
    });
    expect(await run(['dev', `${app}x`])).toMatchObject({
      exitCode: 70,
      stderr: `The application ${app}x cannot be loaded: there is no such file.\n`,
    });
  });
});

function hasChromium(): boolean {
  try {
    accessSync(CHROMIUM, constants.X_OK);
    return true;
  } catch {
    process.stderr.write(`The page is not tried with roost dev: there is no ${CHROMIUM}.\n`);
    return false;
  }
}

describe.skipIf(!hasChromium())('the page', () => {
  it('is connected again after a change, and publishes with the same key', async () => {
    const farm = dev();
    const port = await farm.port();
    const key = (await farm.prints(/API key until you end this: (\S+)\n/))[1] ?? '';
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
    opened.push(() => browser.close());
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${port}/`);
    await page.getByRole('button', { name: 'Connect', exact: true }).click();
    await page.locator('#state[data-state=open]').waitFor();
    project().write('word.ts', word('six'));
    await page.locator('#state[data-state=waiting]').waitFor();
    await page.locator('#state[data-state=open]').waitFor();
    await page.getByLabel('API key').fill(key);
    await page.getByRole('textbox', { name: 'Data' }).fill('after the change');
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.locator('#messages li', { hasText: 'after the change' }).first().waitFor();
  });
});
