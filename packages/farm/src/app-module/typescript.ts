import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const TYPESCRIPT = /\.[mc]?ts$/;

/** Whether the module at this path is TypeScript, by its name. */
export function isTypeScript(path: string): boolean {
  return TYPESCRIPT.test(path);
}

/**
 * Imports a module in TypeScript. From now on this process imports and requires TypeScript until it ends: an app may do so at
 * any time. The nearest tsconfig.json above the module counts. Types are removed, not checked. Takes 4 to 15 MB
 * (docs/decisions/0031), so nothing of it is loaded for applications in JavaScript. Rejects with what the module throws.
 */
export async function importTypeScript(path: string): Promise<Readonly<Record<string, unknown>>> {
  const { register: registerRequire } = await import('tsx/cjs/api');
  const { register: registerImport } = await import('tsx/esm/api');
  registerRequire();
  registerImport({ tsconfig: nearestTsconfig(dirname(path)) ?? false });
  // On Node 20, import() of CommonJS in TypeScript cannot require ES modules such as @roost/farm.
  if (path.endsWith('.cts')) return { default: createRequire(path)(path) };
  return import(pathToFileURL(path).href);
}

function nearestTsconfig(folder: string): string | undefined {
  const path = join(folder, 'tsconfig.json');
  if (existsSync(path)) return path;
  const parent = dirname(folder);
  return parent === folder ? undefined : nearestTsconfig(parent);
}
