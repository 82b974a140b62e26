import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { RowState } from '../packages/farm/src/worker/rows/connection-table.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Which of our packages each may import. poller, websocket, broker → farm → apps. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  'packages/poller': [],
  'packages/websocket': [],
  'packages/broker': [],
  'packages/create-roost-app': [],
  'packages/testing': [],
  'packages/farm': ['@roost/broker', '@roost/poller', '@roost/websocket'],
  'apps/roost': ['@roost/farm', 'create-roost-app'],
  'apps/examples': ['@roost/farm'],
  'apps/load': ['@roost/poller'],
};

/** Look twice at 300 lines, split before this. */
const MAX_LINES = 400;

/** Files that no build ships: specs, their fixtures and their helpers. */
const OF_SPECS = /\.(?:test|contract)\.ts$|\/fixtures\//;

interface Manifest {
  readonly name: string;
  readonly exports?: Readonly<Record<string, { readonly source: string } | string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

interface Source {
  /** From the root: `packages/farm/src/index.ts`. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly string[];
  readonly isOfSpecs: boolean;
}

const manifests = new Map(Object.keys(ARROWS).map((folder) => [folder, manifestOf(folder)]));
const sources = new Map(Object.keys(ARROWS).map((folder) => [folder, sourcesOf(folder)]));
const ourNames = new Set([...manifests.values()].map(({ name }) => name));

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'));
}

/** The folders of the packages that one is built after. */
function referencesOf(folder: string): string[] {
  const config: { references?: { path: string }[] } = JSON.parse(
    readFileSync(join(ROOT, folder, 'tsconfig.json'), 'utf8'),
  );
  return (config.references ?? []).map(({ path }) => relative(ROOT, resolve(ROOT, folder, path)));
}

function sourcesOf(folder: string): Source[] {
  return readdirSync(join(ROOT, folder, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => {
      const path = `${folder}/src/${name}`;
      const text = readFileSync(join(ROOT, path), 'utf8');
      return { path, text, imports: importsOf(text), isOfSpecs: OF_SPECS.test(path) };
    });
}

/** Static and dynamic imports, and re-exports. */
function importsOf(text: string): string[] {
  const statements = text.matchAll(/^(?:import|export)\b[^'"`;]*?\bfrom\s*'([^']+)'|^import\s*'([^']+)'/gm);
  const calls = text.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g);
  return [...statements, ...calls].map((match) => match[1] ?? match[2] ?? '');
}

/** `@roost/broker/redis` is of `@roost/broker`. */
function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
}

function dependenciesOf(manifest: Manifest | undefined): string[] {
  return Object.keys(manifest?.dependencies ?? {});
}

/** Every import that some rule forbids, as `file: specifier`. */
function importsThat(isForbidden: (specifier: string, source: Source, folder: string) => boolean): string[] {
  return [...sources].flatMap(([folder, files]) =>
    files.flatMap((source) =>
      source.imports
        .filter((specifier) => isForbidden(specifier, source, folder))
        .map((specifier) => `${source.path}: ${specifier}`),
    ),
  );
}

describe('the repository', () => {
  it('has the packages and apps of the table above, and no drawer for everything else', () => {
    const folders = ['packages', 'apps'].flatMap((parent) =>
      readdirSync(join(ROOT, parent)).map((name) => `${parent}/${name}`),
    );
    expect(folders.toSorted()).toEqual(Object.keys(ARROWS).toSorted());
    const drawers = Object.keys(ARROWS).flatMap((folder) =>
      readdirSync(join(ROOT, folder, 'src'), { recursive: true, encoding: 'utf8' })
        .filter((name) => /(?:^|\/)(?:utils?|common|helpers?|types|lib|misc|shared)(?:$|\.ts$)/.test(name))
        .map((name) => `${folder}/src/${name}`),
    );
    expect(drawers).toEqual([]);
  });

  it(`has no source of more than ${MAX_LINES} lines`, () => {
    const shipped = [...sources.values()].flat().filter(({ isOfSpecs }) => !isOfSpecs);
    const bench = readdirSync(join(ROOT, 'bench'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.mjs'))
      .map((name) => ({ path: `bench/${name}`, text: readFileSync(join(ROOT, 'bench', name), 'utf8') }));
    expect(bench.length).toBeGreaterThan(0);
    const long = [...shipped, ...bench]
      .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
      .filter(({ lines }) => lines > MAX_LINES);
    expect(long).toEqual([]);
  });
});

describe('imports between packages', () => {
  it.each(Object.entries(ARROWS))('%s depends on nothing of ours but %j', (folder, allowed) => {
    const ours = dependenciesOf(manifests.get(folder)).filter((name) => ourNames.has(name));
    expect(ours.toSorted()).toEqual([...allowed].toSorted());
  });

  it('follow the package.json files: nobody imports one of ours that it does not depend on', () => {
    expect(sources.get('packages/farm')?.flatMap(({ imports }) => imports)).toContain('@roost/broker/redis');
    expect(
      importsThat((specifier, source, folder) => {
        const name = packageOf(specifier);
        const manifest = manifests.get(folder);
        if (!ourNames.has(name) || name === manifest?.name) return false;
        const isDeclared = dependenciesOf(manifest).includes(name);
        const isDeclaredForSpecs = Object.hasOwn(manifest?.devDependencies ?? {}, name);
        return !(isDeclared || (source.isOfSpecs && isDeclaredForSpecs));
      }),
    ).toEqual([]);
  });

  it('bring the harness into specs only', () => {
    expect(
      importsThat((specifier, { isOfSpecs }) => packageOf(specifier) === '@roost/testing' && !isOfSpecs),
    ).toEqual([]);
  });

  it('go through a door: what the exports of the other package name', () => {
    const doors = new Set(
      [...manifests.values()].flatMap(({ name, exports = {} }) =>
        Object.keys(exports).map((entry) => join(name, entry)),
      ),
    );
    expect(importsThat((specifier) => ourNames.has(packageOf(specifier)) && !doors.has(specifier))).toEqual(
      [],
    );
  });

  it('do not leave the package by a relative path', () => {
    expect(
      importsThat((specifier, { path }, folder) => {
        if (!specifier.startsWith('.')) return false;
        const target = relative(join(ROOT, folder), resolve(ROOT, path, '..', specifier));
        return target.startsWith('..');
      }),
    ).toEqual([]);
  });

  it('agree with the references by which the packages are built', () => {
    for (const [folder, allowed] of Object.entries(ARROWS)) {
      const names = referencesOf(folder).map((path) => manifests.get(path)?.name ?? path);
      expect(names.toSorted(), folder).toEqual([...allowed].toSorted());
    }
  });
});

describe('the door of a package', () => {
  const doors = [...manifests].flatMap(([folder, { exports = {} }]) =>
    // A package of commands exports its manifest only.
    Object.values(exports).flatMap((target) =>
      typeof target === 'string' ? [] : join(folder, target.source),
    ),
  );

  it.each(doors)('%s only re-exports, by name', (door) => {
    expect(statSync(join(ROOT, door)).isFile()).toBe(true);
    const text = readFileSync(join(ROOT, door), 'utf8');
    const rest = text.replaceAll(/^export (?:type )?\{[^}]*\} from '\.[^']*';$/gm, '').trim();
    expect(rest).toBe('');
  });

  it('is not used by the package itself', () => {
    expect(
      importsThat((specifier, source) => {
        if (source.isOfSpecs || !specifier.startsWith('.')) return false;
        return doors.includes(relative(ROOT, resolve(ROOT, source.path, '..', specifier)));
      }),
    ).toEqual([]);
  });
});

/** Which of its folders each folder of packages/websocket may import; its README says the same. */
const WEBSOCKET_FOLDERS: Readonly<Record<string, readonly string[]>> = {
  frames: [],
  deflate: ['frames'],
  ws: ['deflate', 'frames'],
  head: ['deflate', 'ws'],
};

describe('packages/websocket', () => {
  it('has folders that import in one direction', () => {
    const root = 'packages/websocket/src';
    const shipped = sources.get('packages/websocket')?.filter(({ isOfSpecs }) => !isOfSpecs) ?? [];
    const folderOf = (path: string): string => /^([^/]+)\//.exec(relative(root, path))?.[1] ?? '';
    const folders = new Set(shipped.map(({ path }) => folderOf(path)).filter((folder) => folder !== ''));
    expect([...folders].toSorted()).toEqual(Object.keys(WEBSOCKET_FOLDERS).toSorted());
    for (const { path, imports } of shipped) {
      const folder = folderOf(path);
      if (folder === '') continue;
      const others = imports
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => folderOf(join(path, '..', specifier)))
        .filter((other) => other !== '' && other !== folder);
      for (const other of others) expect(WEBSOCKET_FOLDERS[folder], path).toContain(other);
    }
  });
});

/**
 * The floors of a worker, from the ground: a part is built from what lies below it, and reports upward through handlers that
 * it declares itself. What shares a floor does not know each other. ARCHITECTURE.md says what each of them is for.
 */
const WORKER_FLOORS: readonly (readonly string[])[] = [
  ['rows'],
  ['master-link', 'sockets', 'app'],
  ['outbound'],
  ['fan-out'],
  ['states'],
  ['connections.ts'],
  ['row-events.ts'],
  ['upkeep'],
  ['moving'],
  ['assemble.ts'],
  ['worker.ts', 'warm-up'],
  ['main.ts'],
];

/** The floors of the rest of the farm: what applications and operators see, and what both processes share, comes first. */
const FARM_FLOORS: readonly (readonly string[])[] = [
  ['api', 'addresses', 'app-module'],
  ['options'],
  ['measures'],
  ['link'],
  ['master', 'worker'],
  ['start-farm.ts', 'checks'],
  ['testing'],
  ['index.ts'],
];

/** Every relative import of a file, types included, as a path from the root. */
function relativeImportsOf({ path, imports }: Source): string[] {
  return imports
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => join(path, '..', specifier));
}

/** Imports between folders (or files) of `root` that do not lead to a lower floor, as `file: import`. */
function importsUpward(
  files: readonly Source[],
  root: string,
  floors: readonly (readonly string[])[],
): string[] {
  const roomOf = (path: string): string => relative(root, path).split('/')[0] ?? '';
  const floorOf = (path: string): number => floors.findIndex((rooms) => rooms.includes(roomOf(path)));
  return files.flatMap((file) =>
    relativeImportsOf(file)
      .filter((target) => target.startsWith(`${root}/`) && roomOf(target) !== roomOf(file.path))
      .filter((target) => floorOf(target) >= floorOf(file.path))
      .map((target) => `${relative(root, file.path)}: ${relative(root, target)}`),
  );
}

/** Files that reach themselves by their imports. */
function circlesIn(files: readonly Source[]): string[] {
  const targets = new Map(files.map((file) => [file.path, relativeImportsOf(file)]));
  return [...targets.keys()].filter((start) => {
    const seen = new Set<string>();
    const next = [...(targets.get(start) ?? [])];
    for (let path = next.pop(); path !== undefined; path = next.pop()) {
      if (path === start) return true;
      if (seen.has(path)) continue;
      seen.add(path);
      next.push(...(targets.get(path) ?? []));
    }
    return false;
  });
}

describe('the farm', () => {
  const farm = sources.get('packages/farm') ?? [];
  const from = (part: string): Source[] =>
    farm.filter(({ path, isOfSpecs }) => path.startsWith(`packages/farm/src/${part}/`) && !isOfSpecs);

  it('keeps master and worker apart: they share only what stands between them', () => {
    expect(from('master').length).toBeGreaterThan(0);
    expect(from('worker').length).toBeGreaterThan(0);
    for (const { path, imports } of from('master')) expect(imports.join(' '), path).not.toMatch(/\/worker\//);
    for (const { path, imports } of from('worker')) expect(imports.join(' '), path).not.toMatch(/\/master\//);
    for (const { path, imports } of from('link')) {
      expect(imports.join(' '), path).not.toMatch(/\/(?:master|worker)\//);
    }
  });

  const shipped = farm.filter(({ isOfSpecs }) => !isOfSpecs);
  const worker = 'packages/farm/src/worker';

  it('has floors, and no import that leads up', () => {
    const rooms = new Set(shipped.map(({ path }) => relative('packages/farm/src', path).split('/')[0] ?? ''));
    expect([...rooms].toSorted()).toEqual(FARM_FLOORS.flat().toSorted());
    expect(importsUpward(shipped, 'packages/farm/src', FARM_FLOORS)).toEqual([]);
  });

  it('has a worker with floors, and no import that leads up', () => {
    const rooms = new Set(from('worker').map(({ path }) => relative(worker, path).split('/')[0] ?? ''));
    expect([...rooms].toSorted()).toEqual(WORKER_FLOORS.flat().toSorted());
    expect(importsUpward(from('worker'), worker, WORKER_FLOORS)).toEqual([]);
  });

  it('has no circle of imports, not even of types', () => {
    expect(circlesIn(shipped)).toEqual([]);
  });

  it('has one writer of the state of a row, beside the table that gives it out', () => {
    const writers = from('worker').filter(({ text }) => /\bstates\[[^\]]*\] = /.test(text));
    expect(writers.map(({ path }) => relative(worker, path)).toSorted()).toEqual([
      'rows/connection-table.ts',
      'rows/rows.ts',
    ]);
  });

  it('has a file for each state of a row', () => {
    const files = new Set(from('worker').map(({ path }) => relative(worker, path)));
    for (const state of Object.keys(RowState)) {
      if (state !== 'free') expect([...files]).toContain(`states/${state}.ts`);
    }
  });

  it('has a master that cannot read what a client sent: it imports nothing that would', () => {
    const readers = /^(?:@roost\/websocket|ws|(?:node:)?https?|(?:node:)?net)$/;
    for (const { path, imports } of from('master')) {
      expect(
        imports.filter((specifier) => readers.test(specifier)),
        path,
      ).toEqual([]);
    }
  });
});
