// Control characters would let text that is quoted in a log line move the cursor or retitle the terminal.
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;

/** The text of an error, with its stack. */
const STACK = /\n {4}at /;

/**
 * A log line of JSON as a person reads it: time, level, message, fields. A text that quotes would alter (a command
 * with quotes) gets a separate line, ready to paste.
 */
export function readableLine(json: string): string {
  const line: Readonly<Record<string, unknown>> = JSON.parse(json);
  const { level, time, msg, ...fields } = line;
  const clock = typeof time === 'string' ? time.slice(11, 23) : '';
  const words = [clock, String(level).toUpperCase().padEnd(5), printable(String(msg))];
  const below: string[] = [];
  for (const [name, value] of Object.entries(fields)) {
    const quoted = JSON.stringify(value);
    if (typeof value === 'string' && STACK.test(value)) below.push(`\n${indented(value)}`);
    else if (typeof value !== 'string') words.push(`${name}=${printable(quoted)}`);
    else if (!value.includes(' ')) words.push(`${name}=${printable(value)}`);
    else if (quoted === `"${value}"`) words.push(`${name}=${printable(quoted)}`);
    else below.push(`\n    ${name}:\n    ${printable(value)}`);
  }
  return `${words.join(' ')}${below.join('')}\n`;
}

/** A stack keeps its lines. None of them begins as a line of the log does. */
function indented(stack: string): string {
  return stack
    .split('\n')
    .map((line) => `    ${printable(line)}`)
    .join('\n');
}

/** The text without control characters, and so in one line: each as its escape. */
export function printable(text: string): string {
  return text.replace(CONTROL, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
