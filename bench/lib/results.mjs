import { mkdirSync, writeFileSync } from 'node:fs';

const FOLDER = new URL('../results/', import.meta.url);

/** @import { Machine } from './machine.mjs' */

/**
 * Writes what was found to a file of `results/` that is named by `prefix` and the date of the machine; called again, to the
 * same file. Answers its path.
 * @param {string} prefix
 * @param {{ machine: Machine, [name: string]: unknown }} findings
 */
export function writeResults(prefix, findings, folder = FOLDER) {
  mkdirSync(folder, { recursive: true });
  const date = findings.machine.date.replaceAll(':', '-').slice(0, 19);
  const file = new URL(`${prefix}${date}.json`, folder);
  writeFileSync(file, `${JSON.stringify(findings, null, 2)}\n`);
  return file.pathname;
}
