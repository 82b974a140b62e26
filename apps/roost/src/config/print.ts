import { stringify } from 'yaml';
import { OPTION_KEYS, OPTIONS } from './options.ts';
import type { OptionKey } from './options.ts';
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

function settingLine(key: OptionKey, name: string, value: unknown, origin: string): string {
  const indent = name.length - name.trimStart().length;
  if (value === null) {
    return `${' '.repeat(indent)}# ${name.trimStart()}: left out ${OPTIONS[key].whenLeftOut}`;
  }
  if (OPTIONS[key].isSecret) return `${' '.repeat(indent)}# ${name.trimStart()}: ******** (${origin})`;
  const written = stringify(value, { lineWidth: 0, collectionStyle: 'flow' }).trimEnd();
  return `${`${name}: ${written}`.padEnd(VALUE_COLUMNS)} # ${origin}`;
}
