// Has Vite put the dashboard into dist/dashboard, unless what is there is newer than all that it is made of.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../dashboard/', import.meta.url));
const OUTPUT = fileURLToPath(new URL('../dist/dashboard/index.html', import.meta.url));
/** Beside the dashboard's own files: the types that it shares with the server, and what npm has installed. */
const OTHERS = ['../package.json', '../src/admin/answers.ts', '../src/openapi/operation.ts'].map((name) =>
  fileURLToPath(new URL(name, import.meta.url)),
);

const sources = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
  .filter((name) => !name.endsWith('.test.ts'))
  .map((name) => join(FOLDER, name));
const newest = Math.max(...[...sources, ...OTHERS].map((path) => statSync(path).mtimeMs));
const builtAt = statSync(OUTPUT, { throwIfNoEntry: false })?.mtimeMs ?? 0;

if (builtAt <= newest) {
  const { build } = await import('vite');
  await build({ configFile: join(FOLDER, 'vite.config.ts'), logLevel: 'warn' });
}
