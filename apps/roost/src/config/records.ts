import { z } from 'zod';
import type { Field, Option, OptionRecord, OptionValue } from './option.ts';

/** Stands for a secret where values are printed. */
export const MASKED = '********';

interface RecordRow {
  readonly fields: Readonly<Record<string, Field>>;
  readonly whenLeftOut: string;
  readonly doc: string;
}

export function required(option: Option<OptionValue>): Field {
  return { option, isRequired: true };
}

export function optional(option: Option<OptionValue>): Field {
  return { option, isRequired: false };
}

/** A value with fields. In a flag or variable it is JSON. */
export function record(row: RecordRow & { readonly allowed: string }): Option<OptionRecord> {
  return {
    ...row,
    schema: objectSchema(row.fields),
    fromText: fromJson,
    default: {},
    placeholder: '<json>',
    isSecret: Object.values(row.fields).some(({ option }) => option.isSecret),
  };
}

/** A list of values with fields. In a flag or variable it is JSON. None unless said. */
export function records(
  row: RecordRow & {
    readonly maxLength: number;
    /** What an element is, in words that can follow "a list of at most 16". */
    readonly elements: string;
  },
): Option<readonly OptionRecord[]> {
  const { maxLength, elements, ...rest } = row;
  return {
    ...rest,
    schema: z.array(objectSchema(row.fields)).max(maxLength),
    fromText: fromJson,
    default: [],
    allowed: `a list of at most ${maxLength} ${elements}`,
    placeholder: '<json>',
    isSecret: Object.values(row.fields).some(({ option }) => option.isSecret),
  };
}

function objectSchema(fields: Readonly<Record<string, Field>>): z.ZodType<OptionRecord> {
  return z.strictObject(
    Object.fromEntries(
      Object.entries(fields).map(([name, { option, isRequired }]) => [
        name,
        isRequired ? option.schema : option.schema.optional(),
      ]),
    ),
  );
}

/** What is not JSON stays text, which no schema here takes. */
function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The value with each of its secrets replaced. */
export function masked(option: Option<OptionValue>, value: OptionValue): unknown {
  const { fields } = option;
  if (fields === undefined) return option.isSecret ? MASKED : value;
  if (Array.isArray(value)) return value.map((element) => maskedRecord(fields, element));
  return maskedRecord(fields, value);
}

function maskedRecord(fields: Readonly<Record<string, Field>>, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return MASKED;
  return Object.fromEntries(
    Object.entries(value).map(([name, part]: [string, OptionValue]) => {
      const field = fields[name];
      return [name, field === undefined ? MASKED : masked(field.option, part)];
    }),
  );
}
