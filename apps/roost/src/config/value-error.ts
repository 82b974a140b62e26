import { ConfigError } from './errors.ts';
import type { ValuePath } from './file.ts';
import { nearest } from './nearest.ts';
import type { Option, OptionValue } from './option.ts';

interface WrittenValue {
  readonly value: unknown;
  /** How the user knows the value, or a part of it. */
  readonly nameOf: (path: ValuePath) => string;
}

/** What a schema has found. */
interface Issue {
  readonly code: string;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** Of fields that there are not. */
  readonly keys?: readonly string[];
}

/** What is wrong with a value that its option does not take; `issue` is what the schema has found, if it was asked. */
export function valueError(
  option: Option<OptionValue>,
  written: WrittenValue,
  issue: Issue | undefined,
): ConfigError {
  return issue !== undefined && option.fields !== undefined
    ? wrongField(option, written, issue)
    : wrongValue(option, written, issue);
}

function wrongValue(
  option: Option<OptionValue>,
  { value, nameOf }: WrittenValue,
  issue: Issue | undefined,
  isRequired = false,
): ConfigError {
  const received = issue === undefined ? value : wrongPart(value, issue);
  const isForced = isRequired || option.placeholder === undefined;
  // Text is all that is left of JSON with a slip in it, and an error of the parser could show a secret.
  const form =
    option.fields !== undefined && typeof value === 'string'
      ? ' In a flag or a variable it must be valid JSON.'
      : '';
  const advice = isForced ? '' : ` Leave it out ${option.whenLeftOut}.`;
  return new ConfigError(
    'CONFIG_ERR_VALUE',
    `${nameOf([])} must be ${option.allowed}, got ${shown(option, received)}${because(issue)}.${form}${advice}`,
  );
}

/** Follows the issue as far as there are fields, and says what is wrong there. */
function wrongField(whole: Option<OptionValue>, { value, nameOf }: WrittenValue, issue: Issue): ConfigError {
  const steps: PropertyKey[] = [];
  let option = whole;
  let isRequired = false;
  let received = value;
  // Within a list of texts or a map the rest of the path leads to what is wrong in it.
  let rest = issue.path;
  for (; rest.length > 0 && option.fields !== undefined; rest = rest.slice(1)) {
    const [step = ''] = rest;
    received = partOf(received, step);
    const field = option.fields[String(step)];
    option = field?.option ?? option;
    isRequired = field?.isRequired ?? false;
    steps.push(step);
  }
  if (issue.code === 'unrecognized_keys') {
    const [field = ''] = issue.keys ?? [];
    const near = nearest(field, Object.keys(option.fields ?? {}));
    const hint =
      near === undefined ? 'The reference of the configuration lists all.' : `Did you mean ${near}?`;
    return new ConfigError('CONFIG_ERR_UNKNOWN', `${nameOf([...steps, field])} is not a setting. ${hint}`);
  }
  if (typeof steps.at(-1) === 'number' && issue.code !== 'too_big') {
    const names = Object.keys(option.fields ?? {}).join(', ');
    return new ConfigError('CONFIG_ERR_VALUE', `${nameOf(steps)} must be a group of settings: ${names}.`);
  }
  if (received === undefined) {
    return new ConfigError('CONFIG_ERR_VALUE', `${nameOf(steps)} is missing: it must be ${option.allowed}.`);
  }
  const part = { value: received, nameOf: () => nameOf(steps) };
  return wrongValue(option, part, { ...issue, path: rest }, isRequired);
}

function partOf(value: unknown, step: PropertyKey): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, step) : undefined;
}

/** `[1].secret` */
export function pathText(path: ValuePath): string {
  return path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('');
}

/** Of a list the element that is wrong, or the length if that is; anything else as it is. */
function wrongPart(value: unknown, issue: Issue): unknown {
  if (!Array.isArray(value)) return value;
  const [index] = issue.path;
  if (typeof index === 'number') return value[index];
  return issue.code === 'too_big' ? value.length : value;
}

/** What an option's own check has found; it shows nothing of the value. */
function because(issue: Issue | undefined): string {
  const isOfOption = issue?.code === 'custom' && issue.message !== 'Invalid input';
  return isOfOption ? `: ${issue.message}` : '';
}

/** What was received, short enough for one line; a secret only by its length. */
function shown(option: Option<OptionValue>, value: unknown): string {
  if (option.isSecret && value !== null) {
    const kind = Array.isArray(value) ? 'list' : typeof value === 'object' ? 'map' : typeof value;
    return typeof value === 'string'
      ? `a value of ${value.length} characters, not shown here`
      : `a ${kind}, not shown here`;
  }
  if (typeof value === 'number') return String(value);
  const json = JSON.stringify(value) ?? String(value);
  return json.length <= 80 ? json : `${json.slice(0, 80)}…`;
}
