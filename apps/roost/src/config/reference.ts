import type { LimitName } from '@roost/farm';
import { EXIT_CODES } from '../exit-codes.ts';
import { flagOf, variableOf } from './names.ts';
import type { Field, Option, OptionValue } from './option.ts';
import { isLimit, isOptionKey, OPTION_KEYS, OPTIONS } from './options.ts';
import type { OptionKey } from './options.ts';

/** The text of docs/reference/config.md. */
export function configReference(): string {
  const settings = OPTION_KEYS.filter((key) => !isLimit(key));
  const limits = OPTION_KEYS.filter(isLimit);
  const paragraphs = [
    '# Configuration',
    '<!-- Generated from the option table by "npm run docs:config -w apps/roost"; a test keeps it so. -->',
    'Every option is a flag of `roost start`, an environment variable, and a key of the file that `--config` (or `ROOST_CONFIG`) names. Flags beat the environment, which beats the file, which beats the defaults. An empty variable counts as left out. Unknown flags and keys are errors. Unknown variables that begin with `ROOST_` are ignored with a warning, since another program may have set them; so are those that Kubernetes sets for a Service named `roost` or `roost-…`.',
    'The file is YAML, of which JSON is a subset; a dot in a key is a level of nesting:',
    '```yaml\nport: 9000\nredisUrl: redis://localhost:6379\nplain:\n  clientPublish: true\n```',
    '`roost check-config` accepts what `roost start` accepts, and prints the configuration that would be used, with the source of each value (`--json`: for programs). It hides secrets. A wrong configuration is one line on stderr and exit code 78.',
    'A switch needs no value as a flag; `--no-…` or `--…=false` turns it off. As a variable it is `true` or `false`. A list is a YAML list in the file; in a flag or a variable its elements are separated by commas. What has settings of its own, as `pusher.apps`, is JSON in a flag or a variable.',
    '## Settings',
    ...settings.flatMap(section),
    '## Limits',
    'Nothing is unbounded: each limit says what happens when it is reached, and [a spec reaches it](../../test/limits-have-specs.test.ts).',
    limitTable(limits),
    ...limits.flatMap(section),
    '## Exit codes',
    exitCodes(),
  ];
  return `${paragraphs.join('\n\n')}\n`;
}

function section(key: OptionKey): string[] {
  const option: Option<OptionValue> = OPTIONS[key];
  // A list is empty by default; what that means is more useful than the value.
  const value =
    option.default === null || typeof option.default === 'object'
      ? `Leave it out ${option.whenLeftOut}`
      : `Default: ${grouped(option.default)}`;
  return [
    `### ${key}`,
    `\`${flagOf(key)}\` · \`${variableOf(key)}\``,
    option.doc,
    `${sentence(grouped(option.allowed))} ${value}.`,
    ...(option.fields === undefined ? [] : [fieldList(key, option.fields)]),
  ];
}

/** The fields of a value; of those that are options themselves only the name. */
function fieldList(key: OptionKey, fields: Readonly<Record<string, Field>>, indent = ''): string {
  return Object.entries(fields)
    .map(([name, { option, isRequired }]) => {
      const group = key.split('.')[0] ?? '';
      const own = `${group}.${name}`;
      if (isOptionKey(own) && indent === '') return `- \`${name}\`: as [${own}](#${anchor(own)})`;
      const left = isRequired ? 'Needed.' : `Leave it out ${option.whenLeftOut}.`;
      const line = `${indent}- \`${name}\`: ${option.doc} ${sentence(grouped(option.allowed))} ${left}`;
      return option.fields === undefined ? line : `${line}\n${fieldList(key, option.fields, `${indent}  `)}`;
    })
    .join('\n');
}

function anchor(heading: string): string {
  return heading.toLowerCase().replaceAll('.', '');
}

/** Every limit with its default. */
function limitTable(limits: readonly LimitName[]): string {
  const lines = [
    ['limit', 'default'],
    ...limits.map((name) => [`[${name}](#${name.toLowerCase()})`, grouped(OPTIONS[name].default)]),
  ];
  const widths = [0, 1].map((column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  lines.splice(
    1,
    0,
    widths.map((width) => '-'.repeat(width)),
  );
  return lines
    .map((cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`)
    .join('\n');
}

function sentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}

/** Numbers of five digits and more with a comma between thousands; values that are one word as code. */
function grouped(value: string | number | boolean): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'number') return grouped(String(value));
  return /^[a-z][a-z0-9.:]*$|^0\.0\.0\.0$/.test(value)
    ? `\`${value}\``
    : value.replace(/\b\d{5,}\b/g, (digits) => Number(digits).toLocaleString('en-US'));
}

function exitCodes(): string {
  return Object.values(EXIT_CODES)
    .map(({ code, meaning }) => `- **${code}**: ${meaning}`)
    .join('\n');
}
