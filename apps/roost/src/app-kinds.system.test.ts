import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { BuildOptions } from 'esbuild';
import { beforeAll, describe, expect, it } from 'vitest';
import { projectForAll } from './fixtures/project.ts';
import { closeAfterEach, connect, request, run, start } from './fixtures/system-test.ts';

closeAfterEach();
const project = projectForAll();

const NEWER_NODE = process.env['NEWER_NODE'];
const NODES: readonly (string | undefined)[] =
  NEWER_NODE === undefined ? [undefined] : [undefined, NEWER_NODE];
if (NEWER_NODE === undefined) {
  process.stderr.write('Applications are not run on a newer Node: name its binary in NEWER_NODE to do so.\n');
}

const FARM = "import { accept, defineApp } from '@roost/farm';";
/** What each app of this file does: it says one word to whoever connects. */
const hooks = (word: string): string =>
  `{ upgrade: () => accept(), open: (connection) => void connection.send(${word}) }`;

/** What only a compiler can take away, and a module beside it under the name that it will have when compiled. */
const TYPESCRIPT = `${FARM}
import type { Connection } from '@roost/farm';
import { word } from './word.js';
enum Kind { Enum = ' and an enum' }
class Greeter { constructor(private readonly text: string) {} greet(connection: Connection) { connection.send(this.text); } }
const greeter = new Greeter(word + Kind.Enum);
export default defineApp({ upgrade: () => accept(), open: (connection) => greeter.greet(connection) });
`;

beforeAll(() => {
  const { write } = project();
  write('package.json', '{ "type": "module" }');
  write('commonjs/package.json', '{ "type": "commonjs" }');
  write('plain/package.json', '{}');
  for (const folder of ['', 'commonjs/', 'plain/']) {
    write(`${folder}app.ts`, TYPESCRIPT);
    write(`${folder}word.ts`, "export const word: string = 'TypeScript';\n");
  }
  write('app.mts', `${FARM}\nexport default defineApp(${hooks("'mts' satisfies string")});\n`);
  write('app.cts', `${FARM}\nexport default defineApp(${hooks("'cts' as string")});\n`);
  write(
    'equals.cts',
    `import { accept, defineApp } from '@roost/farm';\nexport = defineApp(${hooks("'export =' as string")});\n`,
  );
  write('paths/tsconfig.json', '{ "compilerOptions": { "paths": { "#word": ["./a-word.ts"] } } }');
  write('paths/a-word.ts', "export const word: string = 'paths';\n");
  write(
    'paths/app.ts',
    `${FARM}\nimport { word } from '#word';\nexport default defineApp(${hooks('word')});\n`,
  );
  write('app.js', `${FARM}\nexport default defineApp(${hooks("'js'")});\n`);
  const required = `const { accept, defineApp } = require('@roost/farm');\nmodule.exports = defineApp(`;
  write('app.cjs', `${required}${hooks("'cjs'")});\n`);
  write('factory.cjs', `${required}() => (${hooks("'factory'")}));\n`);
  write('commonjs/app.js', `${required}${hooks("'commonjs'")});\n`);
});

/** One file of an app that has two, with the farm in it or beside it. */
async function bundled(name: string, options: BuildOptions): Promise<string> {
  const outfile = join(project().folder, 'bundles', name);
  await build({
    entryPoints: [join(project().folder, 'app.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    logLevel: 'error',
    ...options,
  });
  return outfile;
}

async function wordOf(app: string, node: string | undefined): Promise<string | undefined> {
  const farm = await start([join(project().folder, app)], { node });
  const client = await connect(farm, '/');
  const { text } = await client.nextMessage();
  // A warning of Node.js is written there.
  expect(farm.otherOutput).toBe('');
  return text;
}

describe.each(NODES.map((node) => [node === undefined ? process.version : 'the newer Node', node]))(
  'on %s, an application',
  (_, node) => {
    it.each([
      ['app.ts', 'TypeScript and an enum'],
      ['commonjs/app.ts', 'TypeScript and an enum'],
      ['plain/app.ts', 'TypeScript and an enum'],
      ['app.mts', 'mts'],
      ['app.cts', 'cts'],
      ['equals.cts', 'export ='],
      ['paths/app.ts', 'paths'],
    ])('in TypeScript runs: %s', async (app, word) => {
      expect(await wordOf(app, node)).toBe(word);
    });

    it.each([
      ['app.js', 'js'],
      ['app.cjs', 'cjs'],
      ['factory.cjs', 'factory'],
      ['commonjs/app.js', 'commonjs'],
    ])('in JavaScript runs: %s', async (app, word) => {
      expect(await wordOf(app, node)).toBe(word);
    });

    it.each([
      ['beside.mjs', { format: 'esm', packages: 'external' }],
      ['beside.cjs', { format: 'cjs', packages: 'external' }],
      ['within.mjs', { format: 'esm' }],
      ['within.cjs', { format: 'cjs' }],
    ] as const)('in one file, with @roost/farm beside or within it, runs: %s', async (name, options) => {
      await bundled(name, options);
      expect(await wordOf(`bundles/${name}`, node)).toBe('TypeScript and an enum');
    });
  },
);

describe('what runs TypeScript', () => {
  it('is loaded by workers whose application is TypeScript, and by no others', async () => {
    const { write } = project();
    const source = `import { createRequire } from 'node:module';
const { cache } = createRequire(import.meta.url);
const loaded = () => Object.keys(cache).filter((path) => /node_modules.(?:tsx|esbuild)/.test(path));
export default { http: (request, response) => void response.end(String(loaded().length > 0)) };\n`;
    const answers = ['loaded.mjs', 'loaded.mts'].map(async (name) => {
      const farm = await start([write(name, source), '--workers', '1']);
      return (await request(farm, '/loaded')).text();
    });
    expect(await Promise.all(answers)).toEqual(['false', 'true']);
  });

  it('lets errors name the line of the source', async () => {
    const path = project().write(
      'throws.ts',
      `interface Nothing {\n  readonly nothing: true;\n}\n${FARM}\nexport default defineApp({\n  upgrade: () => accept(),\n  open() {\n    throw new Error('on line 8');\n  },\n});\n`,
    );
    const farm = await start([path]);
    const client = await connect(farm, '/');
    expect((await client.closed).code).toBe(1011);
    const { error } = await farm.log(({ msg }) => msg === 'app hook failed');
    expect(error).toMatch(/^Error: on line 8\n {4}at [^\n]*throws\.ts:8:/);
  });
});

/** Each is one line: what is wrong, where, and what to do. */
describe('an application that cannot be loaded', () => {
  const problems: readonly (readonly [string, Readonly<Record<string, string>>, string])[] = [
    [
      'a slip in an import',
      { 'slips.js': "import './slip.js';\n", 'slip.js': 'export const a = 1;\nexport default {{\n' },
      "SyntaxError: Unexpected token '{' (FOLDER/slip.js:2)",
    ],
    [
      'a slip in TypeScript',
      { 'slips.ts': "import './slip.ts';\n", 'slip.ts': 'const a: number = 1;\nexport default {{\n' },
      'SyntaxError: Expected identifier but found "{" (FOLDER/slip.ts:2)',
    ],
    [
      'a slip in what is required',
      { 'slips.cjs': "require('./slip.cjs');\n", 'slip.cjs': '\nmodule.exports = {{\n' },
      "SyntaxError: Unexpected token '{' (FOLDER/slip.cjs:2)",
    ],
    [
      'an import that the other module does not export',
      { 'wants.js': "import { nope } from './has.js';\n", 'has.js': 'export const yes = 1;\n' },
      "SyntaxError: The requested module './has.js' does not provide an export named 'nope' (FOLDER/wants.js:1)",
    ],
    [
      'an import in CommonJS',
      { 'commonjs/imports.js': "import '@roost/farm';\n" },
      'SyntaxError: Cannot use import statement outside a module (FOLDER/commonjs/imports.js:1). Make it an ES module: name it .mjs, or say "type": "module" in its package.json',
    ],
    [
      'a missing file',
      { 'misses.ts': "import './absent.ts';\n" },
      'FOLDER/misses.ts imports FOLDER/absent.ts, and there is no such file',
    ],
    [
      'a missing file that has another extension',
      { 'misses.js': "import './there.js';\n", 'there.mjs': '' },
      'FOLDER/misses.js imports FOLDER/there.js, and there is no such file. Did you mean FOLDER/there.mjs?',
    ],
    [
      'a missing package',
      { 'uses.ts': "import '@absent/package/part';\n" },
      'FOLDER/uses.ts imports the package @absent/package, which is not installed. Install it: npm install @absent/package',
    ],
    [
      'a missing package that is required',
      { 'uses.cjs': "require('absent-package');\n" },
      'FOLDER/uses.cjs imports the package absent-package, which is not installed. Install it: npm install absent-package',
    ],
    [
      'an import of another kind of file',
      { 'reads.js': "import './notes.txt';\n", 'notes.txt': '' },
      'it imports FOLDER/notes.txt, and Node.js imports no files that end in .txt',
    ],
    [
      'a name of another kind of file',
      { 'app.jsx': '' },
      'its name ends in .jsx, and must end in .js, .mjs or .cjs (JavaScript), or in .ts, .mts or .cts (TypeScript).',
    ],
  ];

  it.each(problems)('for %s says so in one line', async (_, files, problem) => {
    const { folder, write } = project();
    for (const [name, text] of Object.entries(files)) write(name, text);
    const [app = ''] = Object.keys(files);
    const { exitCode, stderr } = await run(['start', join(folder, app), '--port', '0', '--workers', '1']);
    const sentence = `The application ${join(folder, app)} cannot be loaded: ${problem.replaceAll('FOLDER', folder)}\n`;
    // Node.js itself warns before, when it finds an import in CommonJS.
    expect(stderr.replace(/^\(.*\n/gm, '')).toBe(sentence);
    expect(exitCode).toBe(70);
  });
});

it('the test of what is bundled has the farm within the file, and beside it', async () => {
  const within = await bundled('check-within.mjs', { format: 'esm' });
  const beside = await bundled('check-beside.mjs', { format: 'esm', packages: 'external' });
  expect(readFileSync(within, 'utf8')).not.toContain('@roost/farm"');
  expect(readFileSync(beside, 'utf8')).toContain('@roost/farm"');
});
