import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Commands that fetch a package by its name when it is not there, and run or install it. */
const FETCHING = [
  String.raw`(?:npx|bunx|pnpx)`,
  String.raw`(?:npm|pnpm|yarn|bun)\s+(?:exec|x|dlx|create|init|install|i|add)`,
].join('|');
const FETCHED = new RegExp(
  String.raw`\b(?:${FETCHING})\s+(?:-\S+\s+)*(@roost/[\w-]*|roost\b[\w-]*)(?![\w-])`,
  'g',
);

/** What tells of the name, and these rules themselves. */
const EXEMPT = new Set(['docs/decisions/0024-names-on-npm.md', 'test/package-names.test.ts']);

/** Names that are ours from the first release on: those of all packages that are not private. */
const OURS = new Set(
  ['packages', 'apps']
    .flatMap((parent) => readdirSync(join(ROOT, parent)).map((name) => manifestOf(`${parent}/${name}`)))
    .filter((manifest) => manifest.private !== true)
    .map(({ name }) => name),
);

const isCheckout = runs('git', ['-C', ROOT, 'rev-parse', '--git-dir']);

function runs(command: string, words: readonly string[]): boolean {
  try {
    execFileSync(command, words, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

interface Manifest {
  readonly name: string;
  readonly private?: boolean;
}

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'));
}

/** "npm create x" and "npm init x" fetch create-x. */
function fetchedName(command: string, name: string): string {
  return /\s(?:create|init)\s/.test(command) ? `create-${name}` : name;
}

/** Commands in a text that fetch, or name, something like ours that is not ours. */
function strangersIn(text: string): string[] {
  return Array.from(text.matchAll(FETCHED))
    .filter(([command, name = '']) => !OURS.has(fetchedName(command, name)))
    .map(([command]) => command);
}

describe('what this repository says', () => {
  it('is looked through for every way of fetching a package', () => {
    for (const command of [
      'npx roost start echo.js',
      'npx --yes roost@latest start',
      'npx -p roost roost start',
      'npm exec roost',
      'npm install -g roost',
      'npm i @roost/examples',
      'pnpm dlx roost-loader ws://127.0.0.1',
      'yarn add roost',
      'npm create roost my-app',
    ]) {
      expect(strangersIn(command), command).toHaveLength(1);
    }
    for (const command of [
      'npm start -- echo.js; npm run docs:config -w apps/roost; npm ci',
      'npm install @roost/farm',
      'npm create roost-app my-app',
      'npx roost-server init my-app',
      'npx roost-server@0.2.0 start',
    ]) {
      expect(strangersIn(command), command).toEqual([]);
    }
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
          return strangersIn(readFileSync(join(ROOT, path), 'utf8')).map((words) => `${path}: ${words}`);
        } catch {
          // Removed, and not committed yet.
          return [];
        }
      });
    expect(found).toEqual([]);
  });

  it("is not of the package roost, which is a stranger's on npm", () => {
    expect(OURS).toContain('roost-server');
    expect(OURS).not.toContain('roost');
  });
});
