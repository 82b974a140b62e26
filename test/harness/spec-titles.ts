import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What the specs of a file are called, as it is written. `file`: from the root of the repository. */
export function specTitlesIn(file: string): string[] {
  const source = readFileSync(join(ROOT, file), 'utf8');
  return Array.from(
    source.matchAll(
      /\b(?:it|describe)[^\n]*\(\s*(['"`])(.*?)\1,|^\s+\]\)\((['"`])(.*?)\3,|^\s+(['"`])(.*?)\5,\s*$/gm,
    ),
    (match) => match[2] ?? match[4] ?? match[6] ?? '',
  );
}
