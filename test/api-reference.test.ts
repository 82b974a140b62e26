import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from './documents/snippets.ts';

const execute = promisify(execFile);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'roost-api-reference-'));
  // Fails when something that is exported has no docstring.
  await execute(process.execPath, [join(ROOT, 'docs/write-api-reference.mjs'), folder]);
});

afterAll(() => rm(folder, { recursive: true }));

describe('the reference of the API', () => {
  it.each(['api.md', 'api-testing.md'])(
    'says in docs/reference/%s what the docstrings say (npm run docs:api writes it)',
    async (page) => {
      const written = await readFile(join(folder, page), 'utf8');
      expect(await readFile(join(ROOT, 'docs/reference', page), 'utf8')).toBe(written);
    },
  );
});
