import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Commands that fetch a package by its name when it is not there, and run or install it. */
const FETCHING = [
  String.raw`(?:npx|bunx|pnpx)`,
  String.raw`(?:npm|pnpm|yarn|bun)\s+(?:exec|x|dlx|create|init|install|i|add)`,
].join('|');
const FETCHED = new RegExp(String.raw`\b(?:${FETCHING})\s+(?:-\S+\s+)*(@roost/\S+|roost\b\S*)`, 'g');

/** What tells of the name, and these rules themselves. */
const EXEMPT = new Set(['docs/decisions/0024-names-on-npm.md', 'test/package-names.test.ts']);

const isCheckout = runs('git', ['-C', ROOT, 'rev-parse', '--git-dir']);

function runs(command: string, words: readonly string[]): boolean {
  try {
    execFileSync(command, words, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Names of ours that a text has fetched from a registry. */
function fetchedNames(text: string): string[] {
  return Array.from(text.matchAll(FETCHED), (match) => match[0]);
}

describe('what this repository says', () => {
  it('is looked through for every way of fetching a package', () => {
    for (const command of [
      'npx roost start echo.js',
      'npx --yes roost@latest start',
      'npx -p roost roost start',
      'npm exec roost',
      'npm install -g roost',
      'npm i @roost/farm',
      'pnpm dlx roost-load ws://127.0.0.1',
      'yarn add roost',
    ]) {
      expect(fetchedNames(command), command).toHaveLength(1);
    }
    expect(fetchedNames('npm start -- echo.js; npm run docs:config -w apps/roost; npm ci')).toEqual([]);
  });

  it.skipIf(!isCheckout)("never has a package fetched by a name that may be a stranger's", () => {
    const files = execFileSync('git', ['-C', ROOT, 'ls-files', '-z'], { encoding: 'utf8' })
      .split('\0')
      .filter((path) => /\.(?:md|ts|mts|js|mjs|html|json|ya?ml|txt|service)$|Dockerfile$|^\.ci\//.test(path));
    expect(files).toContain('README.md');
    const found = files
      .filter((path) => !EXEMPT.has(path))
      .flatMap((path) => {
        try {
          return fetchedNames(readFileSync(join(ROOT, path), 'utf8')).map((words) => `${path}: ${words}`);
        } catch {
          // Removed, and not committed yet.
          return [];
        }
      });
    expect(found).toEqual([]);
  });

  it("is not of the package roost, which is a stranger's on npm", () => {
    const manifest: unknown = JSON.parse(readFileSync(join(ROOT, 'apps/roost/package.json'), 'utf8'));
    expect(manifest).toMatchObject({ name: 'roost-server', bin: { roost: './bin/roost.js' }, private: true });
  });
});
