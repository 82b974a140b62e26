/**
 * The text of one member of a JSON object, without the white space between its tokens: numbers of any length and the
 * order of keys stay as they were written, which JSON.parse would not promise. Of a repeated key the last counts, as in
 * JSON.parse. `json` must be valid and an object; undefined when the member is missing.
 */
export function jsonMember(json: string, name: string): string | undefined {
  let found: string | undefined;
  let position = skipSpace(json, 0) + 1;
  for (;;) {
    position = skipSpace(json, position);
    if (json[position] !== '"') return found;
    const keyEnd = stringEnd(json, position);
    const key: unknown = JSON.parse(json.slice(position, keyEnd));
    const start = skipSpace(json, skipSpace(json, keyEnd) + 1);
    const end = valueEnd(json, start);
    if (key === name) found = compact(json.slice(start, end));
    position = skipSpace(json, end);
    if (json[position] === ',') position += 1;
  }
}

function skipSpace(json: string, from: number): number {
  let position = from;
  while (isSpace(json[position])) position += 1;
  return position;
}

function isSpace(character: string | undefined): boolean {
  return character === ' ' || character === '\n' || character === '\r' || character === '\t';
}

/** Where the string that opens at `start` has ended. */
function stringEnd(json: string, start: number): number {
  let position = start + 1;
  while (json[position] !== '"') position += json[position] === '\\' ? 2 : 1;
  return position + 1;
}

/** Where the value that begins at `start` has ended: at the comma or bracket of what holds it. */
function valueEnd(json: string, start: number): number {
  let depth = 0;
  for (let position = start; ;) {
    const character = json[position];
    if (character === '"') {
      position = stringEnd(json, position);
      continue;
    }
    if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') depth -= 1;
    if (depth < 0 || (depth === 0 && character === ',')) return position;
    position += 1;
  }
}

/** A loop, for a regular expression that matches a text of some megabytes overflows its stack. */
function compact(json: string): string {
  let compacted = '';
  let from = 0;
  for (let position = 0; position < json.length;) {
    if (json[position] === '"') position = stringEnd(json, position);
    else if (isSpace(json[position])) {
      compacted += json.slice(from, position);
      position = skipSpace(json, position);
      from = position;
    } else position += 1;
  }
  return compacted + json.slice(from);
}
