import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { createProject, whatNext } from './create-project.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'roost-create-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const ROOT = new URL('../../../', import.meta.url);
const json = (path: string | URL) => JSON.parse(readFileSync(path, 'utf8'));
const read = (name: string): string => readFileSync(join(folder, 'my-app', name), 'utf8');

describe('a new project', () => {
  it('has an app, its test, and what runs them', () => {
    const { files } = createProject('my-app', folder);
    expect(files).toEqual([
      '.dockerignore',
      '.gitignore',
      'Dockerfile',
      'README.md',
      'app.ts',
      'compose.yaml',
      'package.json',
      'test/app.test.ts',
      'tsconfig.build.json',
      'tsconfig.json',
    ]);
    expect(parse(read('compose.yaml'))).toMatchObject({ services: { roost: {}, redis: {} } });
    expect(read('README.md').trimEnd().split('\n').length).toBeLessThanOrEqual(10);
    expect(read('.gitignore')).toMatch(/^node_modules\/$/m);
  });

  it('has exactly the version of ours that has made it, and of the others those that it was tested with', () => {
    createProject('my-app', folder);
    const made = json(join(folder, 'my-app/package.json'));
    const { version } = json(new URL('packages/create-roost-app/package.json', ROOT));
    expect(made.dependencies).toEqual({ '@roost/farm': version, 'roost-server': version });
    const ours = {
      ...json(new URL('package.json', ROOT)).devDependencies,
      ...json(new URL('packages/farm/package.json', ROOT)).dependencies,
    };
    for (const [name, wanted] of Object.entries(made.devDependencies))
      expect([name, wanted]).toEqual([name, ours[name]]);
  });

  it.each([
    ['my-app', 'my-app'],
    ['My App', 'my-app'],
    ['_.hidden', 'hidden'],
    ['é', 'roost-app'],
  ])('in %s is called %s', (name, wanted) => {
    createProject(name, folder);
    expect(json(join(folder, name, 'package.json')).name).toBe(wanted);
  });

  it('may be made in the current folder, and in a clone of an empty repository', () => {
    mkdirSync(join(folder, '.git'));
    const made = createProject('.', folder);
    expect(whatNext(made, folder)).toMatch(/\nNext:\n {2}npm install\n {2}npm run dev\n$/);
    expect(whatNext(made, '/')).toContain(`  cd ${folder.slice(1)}\n`);
  });
});

describe('a project that cannot be made', () => {
  it('leaves a folder that is not empty as it is', () => {
    writeFileSync(join(folder, 'app.ts'), 'mine');
    writeFileSync(join(folder, 'notes'), '');
    expect(() => createProject('.', folder)).toThrow(
      `The folder ${folder} must be empty for a new project, and has app.ts and 1 more. Name another: roost init my-app`,
    );
    expect(readdirSync(folder)).toEqual(['app.ts', 'notes']);
    expect(readFileSync(join(folder, 'app.ts'), 'utf8')).toBe('mine');
  });

  it('says so of a file, and of a folder that cannot be made', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => createProject('file', folder)).toThrow(/file: it is not a folder\.$/);
    expect(() => createProject('file/my-app', folder)).toThrow(/my-app: it is not a folder\.$/);
    expect(() => createProject('a'.repeat(300), folder)).toThrow(
      /^A project cannot be made in .*: ENAMETOOLONG/,
    );
  });
});
