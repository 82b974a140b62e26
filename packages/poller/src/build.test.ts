import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Ending } from './fixtures/child.ts';
import { run } from './fixtures/child.ts';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const BINARY = join(PACKAGE, 'build/poller.node');
const { OLD_NODE } = process.env;

/** No compiler. */
const BARE = { PATH: process.env['PATH'], CXX: '/nonexistent/c++' };

describe('the addon', () => {
  let folder: string;
  beforeEach(async () => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'poller-build-')));
    await cp(join(PACKAGE, 'native'), join(folder, 'native'), { recursive: true });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function build(...args: readonly string[]): Promise<Ending> {
    return run(process.execPath, [join(folder, 'native/build.mjs'), ...args], BARE);
  }

  /** What the package says when it is used, or how many functions the addon has. */
  async function use(before = '', node = process.execPath): Promise<string> {
    const script = `${before}
      import(${JSON.stringify(pathToFileURL(join(folder, 'native/addon.mjs')).href)})
        .then(({ loadAddon }) => loadAddon())
        .then(({ addon, problem }) => console.log(problem || Object.keys(addon).length + ' functions'));`;
    const { output } = await run(node, ['-e', script], BARE);
    return output.trimEnd();
  }

  /** As in a package from the registry. */
  function addPrebuilt(libc: string): Promise<void> {
    return cp(BINARY, join(folder, `prebuilds/linux-${process.arch}-${libc}/poller.node`));
  }

  function notBuilt(): string {
    return `Roost's poller has no binary for this machine (Linux on ${process.arch}): install a C++ compiler and the headers of Node.js (Debian: "apt-get install g++", Alpine: "apk add g++", and with the system's own Node "libnode-dev" or "nodejs-dev"), and run "node ${join(folder, 'native/build.mjs')}".`;
  }

  it('is not built without a compiler, which is said in one line', async () => {
    expect(await build()).toEqual({ code: 1, signal: null, output: `${notBuilt()}\n` });
  });

  it('does not fail the installation then, and says the same when it is used', async () => {
    expect(await build('--install')).toEqual({ code: 0, signal: null, output: `${notBuilt()}\n` });
    expect(await use()).toBe(notBuilt());
  });

  it.each(['glibc', 'musl'])(
    'is the binary that came with the package, if it loads: for %s',
    async (libc) => {
      await addPrebuilt(libc);
      expect(await build('--install')).toEqual({ code: 0, signal: null, output: '' });
      expect(await use()).toMatch(/^\d+ functions$/);
    },
  );

  it('is not a binary that the system refuses, as one for another libc', async () => {
    mkdirSync(join(folder, `prebuilds/linux-${process.arch}-musl`), { recursive: true });
    writeFileSync(join(folder, `prebuilds/linux-${process.arch}-musl/poller.node`), 'not for here');
    expect(await use()).toBe(notBuilt());
    await addPrebuilt('glibc');
    expect(await use()).toMatch(/^\d+ functions$/);
  });

  it('is rather what was compiled here than what came with the package', async () => {
    await addPrebuilt('glibc');
    await cp(BINARY, join(folder, 'build/poller.node'));
    const mapped = await use(
      `process.on('exit', () => console.log(/\\S+poller.node/.exec(require('fs').readFileSync('/proc/self/maps', 'utf8'))[0]));`,
    );
    expect(mapped).toContain(join(folder, 'build/poller.node'));
  });

  it('says in one sentence that it needs Linux', async () => {
    // There is no other system here; what Node calls it is all that is looked at.
    const elsewhere = "Object.defineProperty(process, 'platform', { value: 'darwin' });";
    expect(await use(elsewhere)).toBe(
      'Roost\'s poller needs Linux (epoll), and this is darwin: run it in a container of Linux, as "docker compose up" does in Roost\'s repository.',
    );
  });

  it.skipIf(OLD_NODE === undefined)('says in one sentence which Node it needs: to OLD_NODE', async () => {
    expect(await use('', OLD_NODE)).toMatch(
      /^Roost needs Node\.js 20\.19 or newer, and \S+ is 1\d\.[\d.]+\. Install a newer one, and run it with that\.$/,
    );
  });

  it('that is compiled for this machine only is not taken for one to publish: it may need a C++ library', async () => {
    const script = `import(${JSON.stringify(pathToFileURL(join(folder, 'native/prebuilt/foreign-names.mjs')).href)})
      .then(({ foreignNames }) => console.log(foreignNames(${JSON.stringify(BINARY)}).join(' ')));`;
    const { output } = await run(process.execPath, ['-e', script]);
    expect(output).toContain('libstdc++.so.6');
  });
});
