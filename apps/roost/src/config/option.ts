import { resolve } from 'node:path';
import { z } from 'zod';

/** Null stands for an option that is left out. */
export type OptionValue = string | number | boolean | readonly string[] | StructuredValue | null;

/** Of options with fields; see records.ts. */
type StructuredValue = OptionRecord | readonly OptionRecord[];

/** Values by the names of their fields. A field that was left out is missing. */
export interface OptionRecord {
  readonly [field: string]: OptionValue | undefined;
}

/**
 * One row of the option table: what may be written, and all that is said about it. The names of the flag, the variable
 * and the file key are made of the row's key; see names.ts.
 */
export interface Option<Value extends OptionValue> {
  /** Checks a value of the file, or one of a flag or variable after {@link fromText}. */
  readonly schema: z.ZodType<Value>;
  /** Makes a flag's or variable's text what the schema expects; what is not of that kind stays text. */
  readonly fromText: (text: string) => unknown;
  readonly default: Value;
  /** The default in words that can follow "Leave it out": `to use one worker per CPU`. */
  readonly whenLeftOut: string;
  /** What is allowed, in words that can follow "must be". */
  readonly allowed: string;
  /** Stands for the value in the help; undefined for a switch, which takes none. */
  readonly placeholder: string | undefined;
  /** One or two sentences: meaning, and the outcome at the limit. */
  readonly doc: string;
  /** Values are never printed. */
  readonly isSecret: boolean;
  /** Of a path: makes it absolute. It counts from the folder of the file, or from the current one. */
  readonly inFolder?: (value: string, folder: string) => string;
  /** Of a value with fields, and of a list of such values: its fields by name. */
  readonly fields?: Readonly<Record<string, Field>>;
}

/** One field of a value with fields. */
export interface Field {
  readonly option: Option<OptionValue>;
  readonly isRequired: boolean;
}

interface NumberRow {
  readonly default: number;
  readonly min: number;
  readonly max: number;
  readonly unit?: string;
  readonly doc: string;
}

export function integer(row: NumberRow): Option<number> {
  return numeric(row, z.int().min(row.min).max(row.max), 'an integer');
}

export function decimal(row: NumberRow): Option<number> {
  return numeric(row, z.number().min(row.min).max(row.max), 'a number');
}

/** An integer without a default: `whenLeftOut` says what happens when it is left out. */
export function optionalInteger(
  row: Omit<NumberRow, 'default'> & { whenLeftOut: string },
): Option<number | null> {
  return {
    ...integer({ ...row, default: row.min }),
    schema: z.int().min(row.min).max(row.max).nullable(),
    default: null,
    whenLeftOut: row.whenLeftOut,
  };
}

/** A port, or no listener at all. */
export function portOrOff(row: { readonly default: number; readonly doc: string }): Option<number | 'off'> {
  return {
    schema: z.union([z.int().min(0).max(65_535), z.literal('off')]),
    fromText: (written) => (/^\d+$/.test(written) ? Number(written) : written),
    default: row.default,
    whenLeftOut: `for the default of ${row.default}`,
    allowed: 'an integer from 0 to 65535, or off',
    placeholder: '<port>',
    doc: row.doc,
    isSecret: false,
  };
}

function numeric(row: NumberRow, schema: z.ZodType<number>, noun: string): Option<number> {
  const unit = row.unit === undefined ? '' : ` ${row.unit}`;
  return {
    schema,
    fromText: (written) => (/^[+-]?\d+(\.\d+)?$/.test(written) ? Number(written) : written),
    default: row.default,
    whenLeftOut: `for the default of ${row.default}${unit}`,
    allowed: `${noun} from ${row.min} to ${row.max}${unit}`,
    placeholder: row.unit === 'ms' || row.unit === 'bytes' ? `<${row.unit}>` : '<n>',
    doc: row.doc,
    isSecret: false,
  };
}

interface TextRow {
  readonly schema: z.ZodType<string>;
  readonly allowed: string;
  readonly placeholder: string;
  readonly doc: string;
  readonly isSecret?: boolean;
}

export function text(row: TextRow & { readonly default: string }): Option<string> {
  return {
    ...row,
    fromText: (written) => written,
    whenLeftOut: `for the default of ${row.default}`,
    isSecret: row.isSecret ?? false,
  };
}

export function optionalText(row: TextRow & { readonly whenLeftOut: string }): Option<string | null> {
  return {
    ...row,
    schema: row.schema.nullable(),
    fromText: (written) => written,
    default: null,
    isSecret: row.isSecret ?? false,
  };
}

/** A path, kept absolute. */
export function optionalPath(
  row: Omit<TextRow, 'schema' | 'isSecret'> & { readonly whenLeftOut: string },
): Option<string | null> {
  return {
    ...optionalText({ ...row, schema: z.string().min(1) }),
    inFolder: (value, folder) => resolve(folder, value),
  };
}

export function choice<const Word extends string>(row: {
  readonly words: readonly [Word, ...Word[]];
  readonly default: Word;
  readonly placeholder: string;
  readonly doc: string;
}): Option<Word> {
  const quoted = row.words.map((word) => JSON.stringify(word));
  const last = quoted.pop() ?? '';
  return {
    schema: z.enum(row.words),
    fromText: (written) => written,
    default: row.default,
    whenLeftOut: `for the default of ${row.default}`,
    allowed: quoted.length === 0 ? last : `${quoted.join(', ')} or ${last}`,
    placeholder: row.placeholder,
    doc: row.doc,
    isSecret: false,
  };
}

/** On or off; off unless said. */
export function toggle(row: { readonly doc: string }): Option<boolean> {
  return {
    schema: z.boolean(),
    fromText: (written) => (written === 'true' ? true : written === 'false' ? false : written),
    default: false,
    whenLeftOut: 'to leave it off',
    allowed: 'true or false',
    placeholder: undefined,
    doc: row.doc,
    isSecret: false,
  };
}

/** Texts: with commas between them in a flag or variable, a list in the file. None unless said. */
export function list(row: {
  readonly isAllowed: (element: string) => boolean;
  readonly maxLength: number;
  /** What an element is, in words that can follow "a list of at most 16". */
  readonly elements: string;
  readonly whenLeftOut: string;
  readonly doc: string;
}): Option<readonly string[]> {
  return {
    schema: z.array(z.string().refine(row.isAllowed)).max(row.maxLength),
    fromText: (written) => (written.trim() === '' ? [] : written.split(',').map((element) => element.trim())),
    default: [],
    whenLeftOut: row.whenLeftOut,
    allowed: `a list of at most ${row.maxLength} ${row.elements}`,
    placeholder: '<list>',
    doc: row.doc,
    isSecret: false,
  };
}
