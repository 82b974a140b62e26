import { statSync } from 'node:fs';
import { extname } from 'node:path';

const EXTENSIONS = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts'];

/**
 * Why the path cannot be that of an application's module, in words that can follow "cannot be loaded:"; undefined when it
 * can. A name without an extension passes: Node.js runs such files.
 */
export function appFileProblem(path: string): string | undefined {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return 'there is no such file';
    if (stat.isDirectory()) return 'it is a folder; name the module in it, such as index.js';
    if (!stat.isFile()) return 'it is not a file';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const extension = extname(path);
  if (extension === '' || EXTENSIONS.includes(extension)) return undefined;
  return `its name ends in ${extension}, and must end in .js, .mjs or .cjs (JavaScript), or in .ts, .mts or .cts (TypeScript)`;
}
