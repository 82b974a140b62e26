import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { endAll, eventually, patient, startServer, TestClient } from '@roost/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startDev } from './fixtures/dev-process.ts';
import { run } from './fixtures/system-test.ts';

const execute = promisify(execFile);
const MODULES = fileURLToPath(new URL('../../../node_modules', import.meta.url));
const CREATE = fileURLToPath(
  new URL('../../../packages/create-roost-app/bin/create-roost-app.js', import.meta.url),
);

const opened: (() => Promise<unknown>)[] = [];
afterEach(() => endAll(opened));

let parent: string;
let folder: string;
beforeAll(async () => {
  parent = mkdtempSync(join(tmpdir(), 'roost-init-'));
  folder = join(parent, 'my-app');
  const made = await run(['init', folder]);
  expect(made).toMatchObject({ exitCode: 0, stderr: '' });
  expect(made.stdout).toMatch(/^Made a project in \/[^\n]*my-app: [^\n]*app\.ts[^\n]*\.\n\nNext:\n/);
  // As "npm install" leaves it, with the packages of this checkout.
  symlinkSync(MODULES, join(folder, 'node_modules'));
});
afterAll(() => rmSync(parent, { recursive: true }));

/** What `npm run …` prints in the project. Rejects unless it succeeds. */
async function npm(...words: readonly string[]): Promise<string> {
  const { PATH = '', TMPDIR = '', HOME = '/tmp' } = process.env;
  const env = { PATH, TMPDIR, HOME, NO_UPDATE_NOTIFIER: '1' };
  const { stdout } = await execute('npm', words, { cwd: folder, env, timeout: patient(60_000) });
  return stdout;
}

async function connect(url: string): Promise<TestClient> {
  const client = await eventually(() => TestClient.connect(url), {
    what: 'a client gets in',
    deadlineMs: 30_000,
  });
  opened.push(() => client.terminate());
  return client;
}

describe('a project that roost init has made', () => {
  it('passes its check of types, and its test', async () => {
    await npm('run', 'check');
    expect(await npm('test')).toMatch(/^# pass 2$|^ℹ pass 2$/m);
  });

  it.each([['app.ts'], ['dist/app.js']])('runs: %s', async (app) => {
    if (app.startsWith('dist/')) await npm('run', 'build');
    const farm = await startServer([app, '--workers', '2', '--drain-ms', '0'], { cwd: folder });
    opened.push(() => farm.stop());
    const [ann, bob] = await Promise.all([connect(`${farm.url}/room/a`), connect(`${farm.url}/room/a`)]);
    expect((await ann.nextMessage()).text).toBe('welcome');
    expect((await bob.nextMessage()).text).toBe('welcome');
    ann.send('hello');
    expect((await bob.nextMessage()).text).toBe('hello');
  });

  it('is run anew by roost dev when its app changes, and a client comes back', async () => {
    const dev = startDev(['app.ts', '--port', '0'], folder);
    opened.push(() => dev.stop());
    const url = `ws://127.0.0.1:${await dev.port()}/room/a`;
    const before = await connect(url);
    expect((await before.nextMessage()).text).toBe('welcome');
    const app = join(folder, 'app.ts');
    writeFileSync(app, readFileSync(app, 'utf8').replace("'welcome'", "'welcome back'"));
    expect((await before.closed).code).toBe(1001);
    expect((await (await connect(url)).nextMessage()).text).toBe('welcome back');
  });
});

describe('roost init', () => {
  it('writes over nothing: a folder that is not empty is one line and exit code 73', async () => {
    const manifest = readFileSync(join(folder, 'package.json'), 'utf8');
    const { exitCode, stdout, stderr } = await run(['init', folder]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 73, stdout: '' });
    expect(stderr).toMatch(/^The folder \/\S+ must be empty for a new project, and has [^\n]*\n$/);
    expect(readFileSync(join(folder, 'package.json'), 'utf8')).toBe(manifest);
  });

  it('is what npm create roost-app does', async () => {
    const { stdout } = await execute(process.execPath, [CREATE, 'another'], { cwd: parent });
    expect(stdout).toContain('\n  cd another\n  npm install\n  npm run dev\n');
    await expect(execute(process.execPath, [CREATE, 'another'], { cwd: parent })).rejects.toMatchObject({
      code: 73,
      stderr: expect.stringMatching(/must be empty for a new project/),
    });
    await expect(execute(process.execPath, [CREATE, '--force'], { cwd: parent })).rejects.toMatchObject({
      code: 78,
      stderr: 'Usage: npm create roost-app [folder]\n',
    });
  });
});
