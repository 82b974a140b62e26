import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import type { Document, Pair, YAMLMap } from 'yaml';
import { ConfigError } from './errors.ts';
import { nearest } from './nearest.ts';
import { isOptionKey, OPTION_KEYS } from './options.ts';
import type { OptionKey } from './options.ts';

/** One value of the file, and the line on which its key stands (from 1). */
export interface FileEntry {
  readonly value: unknown;
  readonly line: number;
}

/** Reads a YAML file (JSON is YAML, too), whose path counts from `folder`, into its options. Throws a ConfigError. */
export function readConfigFile(path: string, folder: string): Map<OptionKey, FileEntry> {
  let source: string;
  try {
    source = readFileSync(resolve(folder, path), 'utf8');
  } catch (error) {
    throw new ConfigError(
      'CONFIG_ERR_FILE',
      `The configuration file ${path} cannot be read: ${reasonOf(error)}.`,
    );
  }
  return parseConfigFile(source, path);
}

/** As {@link readConfigFile}, of text that was read from `path`. */
function parseConfigFile(source: string, path: string): Map<OptionKey, FileEntry> {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false });
  const [problem] = document.errors;
  if (problem !== undefined) {
    const line = lines.linePos(problem.pos[0]).line;
    const reason = problem.message.replace(/\s+/g, ' ').replace(/\.$/, '');
    throw new ConfigError('CONFIG_ERR_FILE', `Line ${line} of ${path} is not valid YAML: ${reason}.`);
  }
  const entries = new Map<OptionKey, FileEntry>();
  // A file of comments alone is an empty one.
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null))
    return entries;
  if (!isMap(document.contents)) {
    throw new ConfigError('CONFIG_ERR_FILE', `${path} must hold settings such as "port: 8080", one a line.`);
  }
  collect(document.contents, '', { document, lines, path, entries });
  return entries;
}

interface Reading {
  readonly document: Document;
  readonly lines: LineCounter;
  readonly path: string;
  readonly entries: Map<OptionKey, FileEntry>;
}

function collect(map: YAMLMap, group: string, reading: Reading): void {
  for (const pair of map.items) {
    const key = group + (isScalar(pair.key) ? String(pair.key.value) : '');
    const line = lineOf(pair, reading.lines);
    const where = `${key} (line ${line} of ${reading.path})`;
    if (isOptionKey(key)) {
      if (reading.entries.has(key)) throw new ConfigError('CONFIG_ERR_FILE', `${where} is set twice.`);
      reading.entries.set(key, { value: plainValue(pair.value, reading.document), line });
    } else if (isGroup(key)) {
      if (isMap(pair.value)) collect(pair.value, `${key}.`, reading);
      // A group whose settings are all commented out is empty, not wrong.
      else if (plainValue(pair.value, reading.document) !== null) {
        throw new ConfigError(
          'CONFIG_ERR_VALUE',
          `${where} must be a group of settings: ${membersOf(key).join(', ')}.`,
        );
      }
    } else {
      throw new ConfigError('CONFIG_ERR_UNKNOWN', `${where} is not a setting. ${suggestion(key)}`);
    }
  }
}

function suggestion(key: string): string {
  const near = nearest(key, OPTION_KEYS);
  if (near === undefined) return 'See "roost start --help" for all settings.';
  const [group, member] = near.split('.');
  return member === undefined ? `Did you mean ${near}?` : `Did you mean ${member} in the group ${group}?`;
}

function isGroup(key: string): boolean {
  return OPTION_KEYS.some((known) => known.startsWith(`${key}.`));
}

function membersOf(group: string): string[] {
  return OPTION_KEYS.filter((key) => key.startsWith(`${group}.`)).map((key) => key.slice(group.length + 1));
}

function lineOf(pair: Pair, lines: LineCounter): number {
  const range = isScalar(pair.key) ? pair.key.range : undefined;
  return range ? lines.linePos(range[0]).line : 1;
}

function plainValue(node: unknown, document: Document): unknown {
  if (node === null || node === undefined) return null;
  if (isScalar(node)) return node.value;
  // Lists, and what no option takes, of which the error shows what was written: maps.
  return typeof node === 'object' && 'toJS' in node && typeof node.toJS === 'function'
    ? (node.toJS(document) as unknown)
    : null;
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'permission is denied';
  if (code === 'EISDIR') return 'it is a folder';
  return error instanceof Error ? error.message : String(error);
}
