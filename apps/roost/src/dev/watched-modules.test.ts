import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { within } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WatchedModules } from './watched-modules.ts';

let folder: string;
let modules: WatchedModules;
const problems: string[] = [];

function write(name: string, text: string): void {
  mkdirSync(join(folder, name, '..'), { recursive: true });
  writeFileSync(join(folder, name), text);
}

async function nextChange(): Promise<string[]> {
  const change = await within(modules.nextChange(), { what: 'a change is noticed' });
  return change.map((path) => path.slice(folder.length + 1)).toSorted();
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'roost-watched-'));
  write('app.ts', "import './a.ts';\nimport './inner/b.ts';\n");
  write('a.ts', 'console.log(1);\n');
  write('inner/b.ts', 'console.log(2);\n');
  write('other.ts', '');
  write('roost.yaml', '');
  modules = new WatchedModules(join(folder, 'app.ts'), [join(folder, 'roost.yaml')], (problem) =>
    problems.push(problem),
  );
  await modules.begin();
});
afterEach(async () => {
  await modules.close();
  rmSync(folder, { recursive: true });
  expect(problems.splice(0)).toEqual([]);
});

describe('watched modules', () => {
  it('are those of the app and the others that are named, and no more', async () => {
    expect(modules.size).toBe(4);
    write('other.ts', 'console.log(3);\n');
    write('notes.txt', '');
    write('inner/b.ts', 'console.log(4);\n');
    expect(await nextChange()).toEqual(['inner/b.ts']);
    write('roost.yaml', 'port: 1\n');
    expect(await nextChange()).toEqual(['roost.yaml']);
  });

  it('have changed once when several are written together, also by a new file in the place of the old', async () => {
    write('.a.ts.new', 'console.log(5);\n');
    renameSync(join(folder, '.a.ts.new'), join(folder, 'a.ts'));
    write('app.ts', "import './a.ts';\n");
    expect(await nextChange()).toEqual(['a.ts', 'app.ts']);
  });

  it('have changed at last, although they never stop changing', async () => {
    const writing = setInterval(() => write('a.ts', `console.log(${performance.now()});\n`), 20);
    try {
      expect(await nextChange()).toEqual(['a.ts']);
    } finally {
      clearInterval(writing);
    }
  });

  it('are those that the app imports now, after a refresh', async () => {
    write('app.ts', "import './far/c.ts';\n");
    write('far/c.ts', 'console.log(6);\n');
    expect(await nextChange()).toEqual(['app.ts']);
    await modules.refresh();
    write('a.ts', 'console.log(7);\n');
    write('far/c.ts', 'console.log(8);\n');
    expect(await nextChange()).toEqual(['far/c.ts']);
  });

  it('are all that may mend the app, while it is broken', async () => {
    modules.isBroken = true;
    write('notes.txt', '');
    write('other.ts', 'console.log(9);\n');
    expect(await nextChange()).toEqual(['other.ts']);
  });
});
