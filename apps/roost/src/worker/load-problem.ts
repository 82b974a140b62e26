import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isTypeScript } from '@roost/farm/app-module';

const CHECK_TIMEOUT_MS = 5000;

/** What Node.js looks for, or a compiler writes, in place of a path without its extension. */
const COMPLETIONS = ['.js', '.ts', '.mjs', '.mts', '.cjs', '.cts', '/index.js', '/index.ts'];

/**
 * Why the module at `path` could not be imported: one line that can follow "cannot be loaded:", with the file at fault and
 * what to do. Loaded only when there is something to say.
 */
export async function loadProblem(error: unknown, path: string): Promise<string> {
  if (!(error instanceof Error)) return String(error);
  return missingModule(error) ?? wrongExtension(error) ?? (await mistake(error, path)) ?? thrown(error);
}

/** Both loaders of Node.js name what is missing, and who wants it, in a text of their own. */
function missingModule(error: Error): string | undefined {
  const { code, requireStack } = facts(error);
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') return undefined;
  const [, missing, importer = requireStack[0]] =
    /^Cannot find (?:module|package) '([^']+)'(?: imported from (\S.*?)$)?/m.exec(error.message) ?? [];
  if (missing === undefined) return undefined;
  const from = importer === undefined ? 'it' : pathOf(importer);
  if (!/^(?:\.{0,2}\/|file:)/.test(missing)) {
    const name = missing.split('/', missing.startsWith('@') ? 2 : 1).join('/');
    return `${from} imports the package ${name}, which is not installed. Install it: npm install ${name}`;
  }
  const wanted = pathOf(missing);
  const near = COMPLETIONS.map((completion) => withoutExtension(wanted) + completion).find(
    (candidate) => candidate.startsWith('/') && existsSync(candidate),
  );
  return `${from} imports ${wanted}, and there is no such file${near === undefined ? '' : `. Did you mean ${near}?`}`;
}

function wrongExtension(error: Error): string | undefined {
  if (facts(error).code !== 'ERR_UNKNOWN_FILE_EXTENSION') return undefined;
  const path = / for (\/.*)$/m.exec(error.message)?.[1];
  if (path === undefined) return undefined;
  return isTypeScript(path)
    ? `it imports TypeScript (${path}), which only an application in TypeScript may: rename it to end in .ts`
    : `it imports ${path}, and Node.js imports no files that end in ${extname(path)}`;
}

/** A slip in the application, or in a module that it imports. */
async function mistake(error: Error, path: string): Promise<string | undefined> {
  const found = /^(\/.*?:\d+):\d+: ERROR: (.*)$/m.exec(error.message);
  // Of TypeScript, in the words of esbuild.
  if (found !== null) return `SyntaxError: ${found[2]} (${found[1]})`;
  if (error.name === 'TransformError') return `SyntaxError: ${error.message.replace(/\s+/g, ' ')}`;
  if (!(error instanceof SyntaxError)) return undefined;
  const [line = ''] = error.message.split('\n');
  const place = placeIn(error.stack ?? '') ?? checkedPlace(path) ?? (await importedPlace(path));
  const advice = line.startsWith('Cannot use import statement')
    ? '. Make it an ES module: name it .mjs, or say "type": "module" in its package.json'
    : '';
  return `${error.name}: ${line}${place === undefined ? '' : ` (${place})`}${advice}`;
}

function thrown(error: Error): string {
  // Node.js explains why `require` or `module` is not defined in the lines below.
  const text = error instanceof ReferenceError ? error.message : (error.message.split('\n')[0] ?? '');
  const place = frameIn(error.stack ?? '');
  return `${error.name}: ${text.replace(/\s+/g, ' ')}${place === undefined ? '' : ` (${place})`}`;
}

/** The first place in the stack that the user has written: neither of Node.js nor of a package. */
function frameIn(stack: string): string | undefined {
  return stack
    .split('\n')
    .map((line) => /^ +at .*?\(?(?:file:\/\/)?(\/[^()]*?:\d+):\d+\)?$/.exec(line)?.[1])
    .find((place) => place !== undefined && !place.includes('/node_modules/'));
}

/** Node.js puts the place before the stack: of what is required, and of imports that do not fit together. */
function placeIn(text: string): string | undefined {
  return /^(?:file:\/\/)?(\/.*:\d+)$/m.exec(text)?.[1];
}

/** Of a module that is imported the stack does not have the place; Node's own check does. */
function checkedPlace(path: string): string | undefined {
  const { stderr } = spawnSync(process.execPath, ['--check', path], {
    encoding: 'utf8',
    timeout: CHECK_TIMEOUT_MS,
  });
  return placeIn(stderr);
}

/** The module itself is well-formed: one of its imports is not. */
async function importedPlace(path: string): Promise<string | undefined> {
  const { readModuleGraph } = await import('../module-graph.ts');
  return (await readModuleGraph(path)).problem?.place;
}

function facts(error: Error): { readonly code: unknown; readonly requireStack: readonly string[] } {
  const code = 'code' in error ? error.code : undefined;
  const stack: readonly unknown[] =
    'requireStack' in error && Array.isArray(error.requireStack) ? error.requireStack : [];
  return { code, requireStack: stack.filter((path) => typeof path === 'string') };
}

function pathOf(name: string): string {
  return name.startsWith('file:') ? fileURLToPath(name) : name;
}

function withoutExtension(path: string): string {
  return path.slice(0, path.length - extname(path).length);
}
