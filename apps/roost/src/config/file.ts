import { resolve } from 'node:path';
import {
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
} from 'yaml';
import type { Alias, Document, Pair, YAMLMap } from 'yaml';
import type { Option, OptionValue } from './option.ts';
import { ConfigError } from './errors.ts';
import { nearest } from './nearest.ts';
import { refuseRenamed } from './renamed.ts';
import { isOptionKey, OPTION_KEYS, OPTIONS } from './options.ts';
import type { OptionKey } from './options.ts';
import { readRegularFile } from './regular-file.ts';

/** Several times what all options can say. What is larger is another file, and would take seconds to parse. */
const MAX_FILE_BYTES = 256 * 1024;

/** Each is looked for in the whole document. */
const MAX_ALIASES = 100;

/** Of lists within a list, which no option takes: enough to show what was written. */
const SHOWN_ELEMENTS = 5;
const SHOWN_DEPTH = 3;

/** Of options with fields: more values than all of them can have, with aliases followed. */
const MAX_VALUES = 20_000;
const MAX_DEPTH = 8;

/** No option has so long a name. */
const MAX_KEY_LENGTH = 80;

/** One value of the file, and where its key is. */
export interface FileEntry {
  readonly value: unknown;
  /** From 1. */
  readonly line: number;
  /** The line of a part of the value, by the indices and names that lead to it; of what is missing, that of its place. */
  readonly lineAt: (path: ValuePath) => number;
}

/** What leads to a part of a value: indices of lists, names of fields. */
export type ValuePath = readonly PropertyKey[];

/**
 * Reads a YAML file (JSON is YAML, too), whose path counts from `folder`, into its options. Throws a ConfigError,
 * whatever the file holds, and soon.
 */
export function readConfigFile(path: string, folder: string): Map<OptionKey, FileEntry> {
  let bytes: Buffer;
  try {
    bytes = readRegularFile(resolve(folder, path), MAX_FILE_BYTES);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError('CONFIG_ERR_FILE', `The configuration file ${path} cannot be read: ${reason}.`);
  }
  return parseConfigFile(textOf(bytes, path), path);
}

/** Without a byte order mark, which editors leave. */
function textOf(bytes: Buffer, path: string): string {
  let source: string | undefined;
  try {
    source = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    // Said below.
  }
  if (source !== undefined && !source.includes('\0')) return source;
  throw new ConfigError(
    'CONFIG_ERR_FILE',
    `The configuration file ${path} cannot be read: it must be text in UTF-8, and is not.`,
  );
}

function parseConfigFile(source: string, path: string): Map<OptionKey, FileEntry> {
  const lines = new LineCounter();
  // That keys are unique is checked below: here it would take the square of their number.
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  // A warning is of a tag or directive that is unknown, and so of a value that may mean something else.
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) {
    if (problem.code === 'MULTIPLE_DOCS') {
      throw new ConfigError('CONFIG_ERR_FILE', `${path} holds several documents (---): it must be one.`);
    }
    const line = lines.linePos(problem.pos[0]).line;
    const reason =
      problem.code === 'RESOURCE_EXHAUSTION'
        ? 'it is nested too deeply'
        : problem.message.replace(/\s+/g, ' ').replace(/\.$/, '');
    throw new ConfigError('CONFIG_ERR_FILE', `Line ${line} of ${path} is not valid YAML: ${reason}.`);
  }
  const entries = new Map<OptionKey, FileEntry>();
  // A file of comments alone is an empty one.
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null))
    return entries;
  if (!isMap(document.contents)) {
    throw new ConfigError(
      'CONFIG_ERR_FILE',
      `${path} must hold settings such as "port: 8080", one per line.`,
    );
  }
  checkAliases(document, lines, path);
  collect(document.contents, '', { document, lines, path, entries });
  return entries;
}

function checkAliases(document: Document, lines: LineCounter, path: string): void {
  const aliases: Alias[] = [];
  visit(document, {
    Alias(_, alias) {
      return aliases.push(alias) > MAX_ALIASES ? visit.BREAK : undefined;
    },
  });
  if (aliases.length > MAX_ALIASES) {
    throw new ConfigError('CONFIG_ERR_FILE', `${path} must hold at most ${MAX_ALIASES} aliases (*name).`);
  }
  const lost = aliases.find((alias) => alias.resolve(document) === undefined);
  if (lost === undefined) return;
  const { line } = lines.linePos(lost.range?.[0] ?? 0);
  throw new ConfigError(
    'CONFIG_ERR_FILE',
    `Line ${line} of ${path} has an alias *${lost.source}, and no anchor &${lost.source} before it.`,
  );
}

interface Reading {
  readonly document: Document;
  readonly lines: LineCounter;
  readonly path: string;
  readonly entries: Map<OptionKey, FileEntry>;
}

function collect(map: YAMLMap, group: string, reading: Reading): void {
  const groups = new Set<string>();
  for (const pair of map.items) {
    const key = group + keyOf(pair);
    const line = lineOf(pair, reading.lines);
    const where = `${key} (line ${line} of ${reading.path})`;
    if (isOptionKey(key)) {
      if (reading.entries.has(key)) throw new ConfigError('CONFIG_ERR_FILE', `${where} is set twice.`);
      const option: Option<OptionValue> = OPTIONS[key];
      const value =
        option.fields === undefined
          ? plainValue(pair.value, reading.document)
          : new WholeValue(key, reading).of(pair.value);
      reading.entries.set(key, { value, line, lineAt: (steps) => lineAt(pair, steps, reading) });
    } else if (isGroup(key)) {
      if (groups.has(key)) throw new ConfigError('CONFIG_ERR_FILE', `${where} is there twice.`);
      groups.add(key);
      const value = target(pair.value, reading.document);
      if (isMap(value)) collect(value, `${key}.`, reading);
      // A group whose settings are all commented out is empty, not wrong.
      else if (plainValue(value, reading.document) !== null) {
        throw new ConfigError(
          'CONFIG_ERR_VALUE',
          `${where} must be a group of settings: ${membersOf(key).join(', ')}.`,
        );
      }
    } else {
      refuseRenamed(key);
      throw new ConfigError('CONFIG_ERR_UNKNOWN', `${where} is not a setting. ${suggestion(key)}`);
    }
  }
}

/** A key as it is written, short enough for one line. A key that is a list, a map or nothing is not a setting's. */
function keyOf({ key }: Pair): string {
  if (isScalar(key) && key.value !== null) {
    // oxlint-disable-next-line typescript/no-base-to-string -- what is not a text, number or symbol is not a setting anyway
    const text = String(key.value);
    return text.length <= MAX_KEY_LENGTH ? text : `${text.slice(0, MAX_KEY_LENGTH)}…`;
  }
  if (isAlias(key)) return `*${key.source}`;
  return isCollection(key) ? 'A list or a map as a key' : 'A value without a key';
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

function lineOf({ key, value }: Pair, lines: LineCounter): number {
  for (const node of [key, value]) {
    const range = isScalar(node) || isCollection(node) || isAlias(node) ? node.range : undefined;
    if (range) return lines.linePos(range[0]).line;
  }
  return 1;
}

/** What an alias stands for; anything else as it is. */
function target(node: unknown, document: Document): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

/**
 * A scalar, or a list of scalars. Of anything else, which no option takes, only as much as an error shows: aliases can make
 * a small file an endless value.
 */
function plainValue(written: unknown, document: Document, depth = 0): unknown {
  const node = target(written, document);
  if (isScalar(node)) return node.value;
  if (!isCollection(node)) return null;
  if (depth === SHOWN_DEPTH) return isSeq(node) ? ['…'] : { '…': '…' };
  const items: readonly unknown[] =
    depth === 0 && isSeq(node) ? node.items : node.items.slice(0, SHOWN_ELEMENTS);
  if (isSeq(node)) return items.map((item) => plainValue(item, document, depth + 1));
  return Object.fromEntries(
    items.filter(isPair).map((pair) => [keyOf(pair), plainValue(pair.value, document, depth + 1)]),
  );
}

/** Reads all of a value with fields. Throws a ConfigError when it is larger than any can be, or names a field twice. */
class WholeValue {
  readonly #key: OptionKey;
  readonly #reading: Reading;
  #left = MAX_VALUES;

  constructor(key: OptionKey, reading: Reading) {
    this.#key = key;
    this.#reading = reading;
  }

  of(written: unknown, depth = 0): unknown {
    this.#left -= 1;
    if (this.#left < 0 || depth > MAX_DEPTH)
      this.#refuse('CONFIG_ERR_VALUE', 'has more in it than it can have');
    const node = target(written, this.#reading.document);
    if (isScalar(node)) return node.value;
    if (isSeq(node)) return node.items.map((item) => this.of(item, depth + 1));
    if (!isMap(node)) return null;
    const names = new Set<string>();
    return Object.fromEntries(
      node.items.map((pair) => {
        const name = keyOf(pair);
        if (names.has(name)) this.#refuse('CONFIG_ERR_FILE', `sets ${name} twice`, pair);
        names.add(name);
        return [name, this.of(pair.value, depth + 1)];
      }),
    );
  }

  #refuse(code: 'CONFIG_ERR_VALUE' | 'CONFIG_ERR_FILE', problem: string, pair?: Pair): never {
    const where =
      pair === undefined ? '' : ` (line ${lineOf(pair, this.#reading.lines)} of ${this.#reading.path})`;
    throw new ConfigError(code, `${this.#key} ${problem}${where}.`);
  }
}

function lineAt(pair: Pair, steps: ValuePath, { document, lines }: Reading): number {
  let line = lineOf(pair, lines);
  let node = target(pair.value, document);
  for (const step of steps) {
    if (isMap(node)) {
      const found = node.items.find((item) => keyOf(item) === step);
      if (found === undefined) return line;
      line = lineOf(found, lines);
      node = target(found.value, document);
    } else if (isSeq(node) && typeof step === 'number') {
      const item = node.items[step];
      const range = isScalar(item) || isCollection(item) || isAlias(item) ? item.range : undefined;
      if (range) line = lines.linePos(range[0]).line;
      node = target(item, document);
    } else return line;
  }
  return line;
}
