import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readModuleGraph } from './module-graph.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'roost-graph-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes the files and reads the graph of the first. */
async function graphOf(files: Readonly<Record<string, string>>) {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const graph = await readModuleGraph(join(folder, Object.keys(files)[0] ?? ''));
  const relative = (path: string): string => path.replace(`${folder}/`, '');
  return {
    files: graph.files.map(relative).toSorted(),
    folders: graph.folders.map(relative).toSorted(),
    place: graph.problem === undefined ? undefined : relative(graph.problem.place),
  };
}

describe('the graph of a module', () => {
  it('has what it imports, requires and reads as JSON, at any depth', async () => {
    expect(
      await graphOf({
        'a/app.ts':
          "import './b.js';\nimport data from './data.json' with { type: 'json' };\nconsole.log(data);\nawait import('../c.cjs');",
        'a/b.ts': 'export const b: number = 1;',
        'a/data.json': '{}',
        'c.cjs': "require('./d');",
        'd.js': '',
      }),
    ).toEqual({
      files: ['a/app.ts', 'a/b.ts', 'a/data.json', 'c.cjs', 'd.js'],
      folders: [folder, `a`].toSorted(),
      place: undefined,
    });
  });

  it('has nothing of what npm has installed, but follows the paths of a tsconfig.json', async () => {
    expect(
      await graphOf({
        'e/app.ts': "import 'installed';\nimport 'absent';\nimport 'node:fs';\nimport '#own';",
        'e/own.ts': '',
        'e/tsconfig.json': '{ "compilerOptions": { "paths": { "#own": ["./own.ts"] } } }',
        'e/node_modules/installed/index.js': '',
      }),
    ).toMatchObject({ files: ['e/app.ts', 'e/own.ts'], place: undefined });
  });

  it('says where a slip is, and has the other modules all the same', async () => {
    expect(
      await graphOf({
        'f/app.js': "import './slip.js';\nimport './good.js';",
        'f/slip.js': '\n\nexport default {{',
        'f/good.js': '',
      }),
    ).toMatchObject({ files: ['f/app.js', 'f/good.js', 'f/slip.js'], place: 'f/slip.js:3' });
  });

  it('has the folder of a module that is not there yet', async () => {
    expect(await graphOf({ 'g/app.js': "\nimport './later/module.js';" })).toEqual({
      files: ['g/app.js'],
      folders: ['g/later'],
      place: 'g/app.js:2',
    });
  });
});
