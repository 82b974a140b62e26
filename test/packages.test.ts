import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually, spawnGroup, startServer, TestClient } from '@roost/testing';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDev } from '../apps/roost/src/fixtures/dev-process.ts';
import { snippet } from './documents/snippets.ts';
import { endAfterTest } from './harness/system.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');

/** In their order: each behind those that it depends on. */
const PACKAGES = [
  '@roost/broker',
  '@roost/poller',
  '@roost/websocket',
  '@roost/farm',
  'create-roost-app',
  'roost-load',
  'roost-server',
];

/** What a project needs beside them; versions as in the lockfile here. */
const TYPES = '@types/node@20.19.43';
const PNPM = 'pnpm@10.34.9';

const PREBUILT = `linux-${process.arch}-glibc`;

/** The README's ten lines, which are TypeScript and JavaScript at once, and the same as CommonJS. */
const TEN_LINES = snippet('README.md', '// app.ts').text;
const TEN_LINES_OF_COMMONJS = TEN_LINES.replace(
  "import { accept, defineApp } from '@roost/farm';",
  "const { accept, defineApp } = require('@roost/farm');",
).replace('export default', 'module.exports =');

/** Without what an npm that runs this suite has set for itself. */
const ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(?:npm_|INIT_CWD$|NODE_ENV$)/i.test(name)),
);

const hasCompiler = succeeds('c++', '--version');
const hasRegistry = succeeds('npm', 'view', 'ws@8.23.0', 'version', '--prefer-offline');
if (!hasCompiler || !hasRegistry) {
  console.warn('No C++ compiler, or no registry of packages: packages are not packed and installed.');
}

function succeeds(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { env: ENVIRONMENT, stdio: 'ignore' }).status === 0;
}

interface Outcome {
  readonly code: number | null;
  readonly output: string;
}

async function run(
  [command = '', ...args]: readonly string[],
  { cwd = ROOT, env = ENVIRONMENT }: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Outcome> {
  const child = spawnGroup(command, args, { cwd, env });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = await once(child, 'close');
  return { code, output };
}

/** Runs a command that must not fail, and answers what it printed. */
async function must(command: readonly string[], options: Parameters<typeof run>[1] = {}): Promise<string> {
  const { code, output } = await run(command, options);
  expect(code, `${command.join(' ')}\n${output}`).toBe(0);
  return output;
}

/** Starts the installed server with an app of its project, and expects the app's echo. */
async function expectEchoOf(app: string, project: string, env: NodeJS.ProcessEnv): Promise<void> {
  const server = await startServer([app, '--workers', '1', '--drain-ms', '0', '--host', '127.0.0.1'], {
    program: join(project, 'node_modules/roost-server/bin/roost.js'),
    cwd: project,
    env: { PATH: env['PATH'] ?? '' },
  });
  endAfterTest(() => server.stop());
  const client = await TestClient.connect(server.url);
  endAfterTest(() => client.terminate());
  expect((await client.nextMessage()).text).toBe('welcome');
  // Short messages are unmasked in another way than long ones.
  for (const text of ['hello', 'hello'.repeat(1000)]) {
    client.send(text);
    expect((await client.nextMessage()).text).toBe(text);
  }
}

describe.skipIf(!hasCompiler || !hasRegistry)('the packages', () => {
  let folder: string;
  let tarballs: string[];
  /** Node and npm are there, and no compiler. */
  let withoutCompiler: NodeJS.ProcessEnv;
  /** Where the tarballs are installed so. */
  let project: string;
  /** What npm said to that. */
  let installed: string;

  beforeAll(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'roost-packages-')));
    const [binaries, packed] = [join(folder, 'binaries'), join(folder, 'packed')];
    await must(['node', 'packages/poller/native/prebuild.mjs', binaries, PREBUILT]);
    await must(['node', 'scripts/pack.mjs', packed, '--binaries', binaries]);
    tarballs = (await readdir(packed)).map((name) => join(packed, name));

    const path = join(folder, 'path');
    await mkdir(path);
    for (const program of ['node', 'npm', 'sh']) await symlink(await which(program), join(path, program));
    withoutCompiler = { ...ENVIRONMENT, PATH: path };

    project = await newProject('project');
    const install = ['npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', TYPES, ...tarballs];
    installed = await must(install, { cwd: project, env: withoutCompiler });
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function newProject(name: string, manifest: object = {}): Promise<string> {
    const path = join(folder, name);
    await mkdir(path);
    await writeFile(
      join(path, 'package.json'),
      JSON.stringify({ private: true, type: 'module', ...manifest }),
    );
    await writeFile(join(path, 'echo.js'), TEN_LINES);
    await writeFile(join(path, 'echo.ts'), TEN_LINES);
    await writeFile(join(path, 'echo.cjs'), TEN_LINES_OF_COMMONJS);
    return path;
  }

  function bundle(from: string, to: string, external: string[] = []): string {
    const outfile = join(project, to);
    const entryPoints = [join(project, from)];
    buildSync({ entryPoints, outfile, external, bundle: true, platform: 'node', format: 'esm' });
    return outfile;
  }

  async function manifestOf(name: string): Promise<Record<string, unknown>> {
    return JSON.parse(await readFile(join(project, 'node_modules', name, 'package.json'), 'utf8'));
  }

  it('are all that is not private, and have a license, a README and no sources but the poller', async () => {
    expect(tarballs).toHaveLength(PACKAGES.length);
    for (const name of PACKAGES) {
      const files = await readdir(join(project, 'node_modules', name));
      expect(files, name).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'dist', 'package.json']));
      expect(files, name).not.toContain('src');
      const all = await readdir(join(project, 'node_modules', name), { recursive: true });
      expect(
        all.filter((path) => /^(?!template\/).*(?:\.test\.|\/fixtures\/|tsbuildinfo|tsconfig)/.test(path)),
        name,
      ).toEqual([]);
    }
    const native = await readdir(join(project, 'node_modules/@roost/poller/native'));
    expect(native).toEqual(expect.arrayContaining(['build.mjs', 'poller.cc', 'poller.h']));
    expect(native).not.toContain('prebuild.mjs');
  });

  it('have manifests for those who install them, with exact versions', async () => {
    for (const name of PACKAGES) {
      const manifest = await manifestOf(name);
      expect(manifest, name).toMatchObject({
        license: 'MIT',
        engines: { node: '>=20.19' },
        publishConfig: { access: 'public' },
      });
      expect(Object.keys(manifest), name).not.toContain('private');
      expect(Object.keys(manifest), name).not.toContain('devDependencies');
      expect(JSON.stringify(manifest['exports']), name).not.toContain('"source"');
      for (const version of Object.values(manifest['dependencies'] ?? {})) {
        expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
      }
    }
    expect(await manifestOf('@roost/poller')).toMatchObject({ os: ['linux'] });
  });

  it('are installed without a compiler: the binary is in the package, and nothing was compiled', async () => {
    expect(await run(['sh', '-c', 'command -v c++ g++ cc gcc'], { env: withoutCompiler })).toMatchObject({
      output: '',
    });
    const poller = join(project, 'node_modules/@roost/poller');
    expect(await readdir(join(poller, 'prebuilds'))).toEqual([PREBUILT]);
    expect(existsSync(join(poller, 'build'))).toBe(false);
  });

  it('depend on nothing that wants a newer Node than they do', () => {
    expect(installed).not.toContain('EBADENGINE');
  });

  it('have the command that npx finds by the name of its package', async () => {
    const words = ['npm', 'exec', '--offline', 'roost-server', '--', 'check-config', '--port', '9000'];
    expect(await must(words, { cwd: project, env: withoutCompiler })).toMatch(/^port: 9000 /m);
  });

  it.each([
    ['a module', 'echo.js'],
    ['CommonJS', 'echo.cjs'],
    ['TypeScript', 'echo.ts'],
  ])("run the README's ten lines as %s", async (_, app) => {
    await expectEchoOf(app, project, withoutCompiler);
  });

  it("run the README's ten lines as one bundled file", async () => {
    const out = bundle('echo.js', 'bundled/echo.js');
    expect(await readFile(out, 'utf8')).not.toMatch(/\b(?:import|require)\b/);
    await expectEchoOf(out, project, withoutCompiler);
  });

  it('run a program that starts the farm itself, bundled with everything but @roost/farm', async () => {
    await writeFile(
      join(project, 'farm.js'),
      `import { startFarm } from '@roost/farm';
      const log = { info() {}, warn() {}, error: console.error };
      const options = { port: 0, host: '127.0.0.1', workers: 1, drainMs: 0, log };
      const farm = await startFarm({ app: new URL('echo.js', import.meta.url), ...options });
      console.log('port', farm.port);
      process.once('SIGTERM', () => farm.drain());
      await farm.stopped;`,
    );
    const out = bundle('farm.js', 'started/farm.js', ['@roost/farm']);
    await cp(join(project, 'echo.js'), join(project, 'started/echo.js'));
    const child = spawnGroup(process.execPath, [out], { cwd: project, env: withoutCompiler });
    const ended = once(child, 'close');
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
    const port = await eventually(() => /^port (\d+)$/m.exec(output)?.[1] ?? false, {
      what: 'the farm tells its port',
    });
    const client = await TestClient.connect(`ws://127.0.0.1:${port}/`);
    expect((await client.nextMessage()).text).toBe('welcome');
    child.kill('SIGTERM');
    expect(await client.closed).toMatchObject({ code: 1001 });
    expect(await ended, output).toEqual([0, null]);
  });

  it('have types that a strict compiler takes, with those of Node beside them', async () => {
    await writeFile(join(project, 'app.ts'), snippet('packages/farm/README.md', '// app.ts').text);
    await writeFile(
      join(project, 'all.ts'),
      [
        'broker',
        'broker/redis',
        'poller',
        'websocket',
        'farm',
        'farm/testing',
        'farm/app-module',
        'farm/checks',
      ]
        .map((name, index) => `export * as all${index} from '@roost/${name}';\n`)
        .join(''),
    );
    const options = '--strict --noEmit --module nodenext --target es2023 --types node';
    expect(await run([TSC, ...options.split(' '), 'app.ts', 'echo.ts', 'all.ts'], { cwd: project })).toEqual({
      code: 0,
      output: '',
    });
  });

  it('run the tests of an app that the guide shows, with the test runner of Node', async () => {
    const tested = join(project, 'tested');
    await mkdir(tested);
    for (const name of ['chat.js', 'chat.test.js']) {
      await writeFile(join(tested, name), snippet('docs/guide/testing-your-app.md', `// ${name}`).text);
    }
    const words = ['node', '--test', '--test-reporter=tap', 'chat.test.js'];
    expect(await must(words, { cwd: tested, env: withoutCompiler })).toMatch(/^# pass 1$/m);
  });

  describe('make a project with roost init, which', () => {
    let made: string;
    beforeAll(async () => {
      made = join(folder, 'my-app');
      await must(['npm', 'exec', '--offline', 'roost-server', '--', 'init', made], {
        cwd: project,
        env: withoutCompiler,
      });
      // It asks for our packages by version, which no registry here has.
      await must(['npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', ...tarballs], {
        cwd: made,
        env: withoutCompiler,
      });
    });

    it('asks for the version that has made it', async () => {
      const again = join(folder, 'again');
      await must(['npm', 'exec', '--offline', 'create-roost-app', again], {
        cwd: project,
        env: withoutCompiler,
      });
      const { version } = await manifestOf('roost-server');
      const manifest: unknown = JSON.parse(await readFile(join(again, 'package.json'), 'utf8'));
      expect(manifest).toMatchObject({ dependencies: { '@roost/farm': version, 'roost-server': version } });
      expect(await readdir(again)).toEqual(expect.arrayContaining(['.dockerignore', '.gitignore', 'test']));
    });

    it('passes its check of types, and its test', async () => {
      await must(['npm', 'run', 'check'], { cwd: made, env: withoutCompiler });
      const said = await must(['npm', 'test'], { cwd: made, env: withoutCompiler });
      expect(said).toMatch(/^(?:#|ℹ) pass 2$/m);
    });

    it('is run anew by roost dev when its app changes', async () => {
      const program = join(made, 'node_modules/roost-server/bin/roost.js');
      const dev = startDev(['app.ts', '--port', '0', '--host', '127.0.0.1'], made, program);
      endAfterTest(() => dev.stop());
      const port = await dev.port();
      await writeFile(join(made, 'app.ts'), TEN_LINES.replace("'welcome'", "'welcome back'"));
      await dev.prints(/ready again/);
      const client = await TestClient.connect(`ws://127.0.0.1:${port}/`);
      endAfterTest(() => client.terminate());
      expect((await client.nextMessage()).text).toBe('welcome back');
    });
  });

  describe('where no binary fits', () => {
    let unfit: string;
    beforeAll(async () => {
      unfit = join(folder, 'unfit');
      await cp(project, unfit, { recursive: true });
      await rm(join(unfit, 'node_modules/@roost/poller/prebuilds'), { recursive: true });
      // As npm does where there is no binary of this one either: Linux on arm64.
      await rm(join(unfit, 'node_modules/bufferutil'), { recursive: true });
    });

    it('say in one sentence what to do, at install and at start, when there is no compiler either', async () => {
      const sentence = /Roost's poller has no binary for this machine .* run "node (\/\S+\/build\.mjs)"\./;
      const poller = join(unfit, 'node_modules/@roost/poller');
      const said = await must(['npm', 'run', 'install'], { cwd: poller, env: withoutCompiler });
      expect(said).toMatch(sentence);

      const roost = join(unfit, 'node_modules/roost-server/bin/roost.js');
      const started = await run(['node', roost, 'start', 'echo.js', '--port', '0'], {
        cwd: unfit,
        env: withoutCompiler,
      });
      expect(started.code, started.output).toBe(71);
      expect(started.output.split('\n').filter((line) => sentence.test(line))).toHaveLength(1);
    });

    it('compile the poller from source at install, and run the same', async () => {
      await must(['npm', 'rebuild', '@roost/poller'], { cwd: unfit });
      expect(existsSync(join(unfit, 'node_modules/@roost/poller/build/poller.node'))).toBe(true);
      await expectEchoOf('echo.js', unfit, withoutCompiler);
    });
  });

  it('are installed by pnpm, too', async () => {
    const tool = await newProject('pnpm');
    await must(['npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', PNPM], { cwd: tool });
    // They ask for each other by version, which no registry here has.
    const byName = Object.fromEntries(PACKAGES.map((name) => [name, `file:${tarballOf(name)}`]));
    const own = await newProject('of-pnpm', { dependencies: byName, pnpm: { overrides: byName } });
    await must(
      [
        'node',
        join(tool, 'node_modules/pnpm/bin/pnpm.cjs'),
        'install',
        '--prefer-offline',
        '--store-dir',
        join(folder, 'store'),
      ],
      { cwd: own, env: withoutCompiler },
    );
    await expectEchoOf('echo.js', own, withoutCompiler);
  });

  function tarballOf(name: string): string {
    const beginning = `${name.replace('@', '').replace('/', '-')}-`;
    const found = tarballs.find((path) => path.includes(`/packed/${beginning}`));
    if (found === undefined) throw new Error(`There is no tarball of ${name}.`);
    return found;
  }
});

async function which(program: string): Promise<string> {
  const found = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((path) => join(path, program))
    .find((path) => existsSync(path));
  if (found === undefined) throw new Error(`There is no ${program} in PATH.`);
  return realpath(found);
}
