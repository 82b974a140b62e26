import { stringify } from 'yaml';
import type { Option, OptionValue } from './option.ts';
import { OPTION_KEYS, OPTIONS } from './options.ts';
import type { OptionKey } from './options.ts';
import { MASKED, masked } from './records.ts';
import type { ResolvedConfig } from './resolve.ts';

/** Columns before the comment that says where a value came from. */
const VALUE_COLUMNS = 40;

/**
 * The effective configuration as a file that could be given to `--config`: one setting a line, with the source of its
 * value as a comment. Secrets and options without a value are comments as a whole.
 */
export function printConfig({ settings, origins }: ResolvedConfig): string {
  const lines: string[] = [];
  let group = '';
  for (const key of OPTION_KEYS) {
    const [first = '', second] = key.split('.');
    const nextGroup = second === undefined ? '' : first;
    if (nextGroup !== group && nextGroup !== '') lines.push(`${nextGroup}:`);
    group = nextGroup;
    lines.push(
      settingLine(key, second === undefined ? first : `  ${second}`, settings[key], origins.get(key) ?? ''),
    );
  }
  return `${lines.join('\n')}\n`;
}

/**
 * The same for programs: `{ "port": { "value": 9000, "origin": "ROOST_PORT" } }`. Each secret is `********`; what is no
 * secret beside it, as the id of an app, is shown.
 */
export function configAsJson({ settings, origins }: ResolvedConfig): string {
  const entries = OPTION_KEYS.map((key) => {
    const value = settings[key];
    return [
      key,
      { value: value === null ? null : masked(OPTIONS[key], value), origin: origins.get(key) ?? 'default' },
    ];
  });
  return `${JSON.stringify(Object.fromEntries(entries), undefined, 2)}\n`;
}

function settingLine(key: OptionKey, name: string, value: OptionValue, origin: string): string {
  const indent = name.length - name.trimStart().length;
  if (value === null) {
    return `${' '.repeat(indent)}# ${name.trimStart()}: left out ${OPTIONS[key].whenLeftOut}`;
  }
  const option: Option<OptionValue> = OPTIONS[key];
  if (option.isSecret && !isEmpty(value)) {
    const shown = option.fields === undefined ? MASKED : flow(masked(option, value));
    return `${' '.repeat(indent)}# ${name.trimStart()}: ${shown} (${origin})`;
  }
  return `${`${name}: ${flow(value)}`.padEnd(VALUE_COLUMNS)} # ${origin}`;
}

/** Nothing of it can be a secret. */
function isEmpty(value: OptionValue): boolean {
  return Array.isArray(value) && value.length === 0;
}

function flow(value: unknown): string {
  return stringify(value, { lineWidth: 0, collectionStyle: 'flow' }).trimEnd();
}
