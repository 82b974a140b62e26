import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ProjectError } from './errors.ts';
import { manifestFor } from './manifest.ts';

/** The path is the same from src/ and from dist/. */
const TEMPLATE = fileURLToPath(new URL('../template', import.meta.url));

/** npm leaves files out of a package that are called so. */
const DOTTED: Readonly<Record<string, string>> = {
  gitignore: '.gitignore',
  dockerignore: '.dockerignore',
};

/** What a folder may hold and still count as empty: "git clone" of a new repository leaves it. */
const IGNORED = new Set(['.git']);

export interface CreatedProject {
  /** Absolute. */
  readonly folder: string;
  /** Relative to the folder, sorted. */
  readonly files: readonly string[];
}

/**
 * Makes a project in TypeScript in `folder`, which counts from `current` and is made if it is not there. Writes into empty
 * folders only, and over nothing. Throws a ProjectError, and leaves what it had written until then.
 */
export function createProject(folder: string, current: string): CreatedProject {
  const target = resolve(current, folder);
  checkEmpty(target);
  const names = readdirSync(TEMPLATE, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(TEMPLATE, name)).isFile())
    .filter((name) => !name.startsWith('node_modules/'));
  try {
    const files = names.map((name) => {
      const written = DOTTED[name] ?? name;
      const text = readFileSync(join(TEMPLATE, name), 'utf8');
      mkdirSync(dirname(join(target, written)), { recursive: true });
      // wx: whoever writes there at the same moment keeps what is theirs.
      writeFileSync(
        join(target, written),
        name === 'package.json' ? manifestFor(text, basename(target)) : text,
        { flag: 'wx' },
      );
      return written;
    });
    return { folder: target, files: files.toSorted() };
  } catch (error) {
    throw new ProjectError(`A project cannot be made in ${target}: ${reasonOf(error)}.`, error);
  }
}

/** What a person is to type in `current` when the project is made. */
export function whatNext({ folder, files }: CreatedProject, current: string): string {
  const path = relative(current, folder);
  const steps = [...(path === '' ? [] : [`cd ${quoted(path)}`]), 'npm install', 'npm run dev'];
  return `Made a project in ${folder}: ${files.join(', ')}.\n\nNext:\n${steps.map((step) => `  ${step}\n`).join('')}`;
}

function checkEmpty(folder: string): void {
  let names: readonly string[];
  try {
    names = readdirSync(folder).filter((name) => !IGNORED.has(name));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    const reason = codeOf(error) === 'ENOTDIR' ? 'it is not a folder' : reasonOf(error);
    throw new ProjectError(`A project cannot be made in ${folder}: ${reason}.`, error);
  }
  if (names.length === 0) return;
  const others = names.length === 1 ? '' : ` and ${names.length - 1} more`;
  throw new ProjectError(
    `The folder ${folder} must be empty for a new project, and has ${names[0]}${others}. Name another: roost init my-app`,
  );
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** As a shell takes it. */
function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
