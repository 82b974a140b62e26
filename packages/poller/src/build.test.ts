import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from './fixtures/child.ts';

const NATIVE = fileURLToPath(new URL('../native', import.meta.url));
const SENTENCE = /^Roost's poller is not built: install a C\+\+ compiler .* and run "npm run build"\.\n$/;

describe('the build', () => {
  let folder: string;
  let script: string;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'poller-build-'));
    await cp(NATIVE, join(folder, 'native'), { recursive: true });
    script = join(folder, 'native/build.mjs');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('says in one line what to install when there is no compiler, and fails', async () => {
    const ending = await run(process.execPath, [script], { ...process.env, CXX: '/nonexistent/c++' });
    expect(ending).toMatchObject({ code: 1, signal: null });
    expect(ending.output).toMatch(SENTENCE);
  });

  it('says the same and succeeds with --optional', async () => {
    const ending = await run(process.execPath, [script, '--optional'], {
      ...process.env,
      CXX: '/nonexistent/c++',
    });
    expect(ending).toMatchObject({ code: 0, signal: null });
    expect(ending.output).toMatch(SENTENCE);
  });

  it('says the same as the package when it is used', async () => {
    const { output } = await run(process.execPath, [script], { ...process.env, CXX: '/nonexistent/c++' });
    const source = readFileSync(new URL('native.ts', import.meta.url), 'utf8').replaceAll("\\'", "'");
    expect(source).toContain(output.trim());
  });
});
