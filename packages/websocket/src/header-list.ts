const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;

/**
 * The elements of a header that is a list (RFC 9110 §5.6.1.2): without the white space around them, and without the
 * empty ones, which a recipient ignores (`a, , b`, `a,`, or nothing at all). A comma within quotes does not end one.
 */
export function listElements(value: string): string[] {
  const elements: string[] = [];
  let start = 0;
  let isQuoted = false;
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index);
    if (code === QUOTE) isQuoted = !isQuoted;
    else if (isQuoted && code === BACKSLASH) index++;
    else if (code === COMMA && !isQuoted) {
      addElement(elements, value.slice(start, index));
      start = index + 1;
    }
  }
  addElement(elements, value.slice(start));
  return elements;
}

/** Whether the list has this token, which is given in lower case and may stand there in any. */
export function hasToken(list: string, token: string): boolean {
  const lower = list.toLowerCase();
  return lower === token || listElements(lower).includes(token);
}

function addElement(elements: string[], text: string): void {
  // Not trim(): that takes a no-break space (A0 in latin1) for a blank.
  const element = text.replaceAll(/^[ \t]+|[ \t]+$/g, '');
  if (element !== '') elements.push(element);
}
