const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;

/**
 * The elements of a header that is a list (RFC 9110 §5.6.1.2): without the white space around them, and without the
 * empty ones, which a recipient ignores (`a, , b`, `a,`, or nothing at all). For lists of tokens, in which quotes have no
 * meaning.
 */
export function listElements(value: string): string[] {
  return withoutEmpty(value.split(','));
}

/** As {@link listElements}, where values may be quoted: a comma within quotes does not end an element. */
export function quotedListElements(value: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let isQuoted = false;
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index);
    if (code === QUOTE) isQuoted = !isQuoted;
    else if (isQuoted && code === BACKSLASH) index++;
    else if (code === COMMA && !isQuoted) {
      parts.push(value.slice(start, index));
      start = index + 1;
    }
  }
  parts.push(value.slice(start));
  return withoutEmpty(parts);
}

/** Whether a list of tokens has this one, which is given in lower case; the list may have any. */
export function hasToken(list: string, token: string): boolean {
  const lower = list.toLowerCase();
  return lower === token || listElements(lower).includes(token);
}

function withoutEmpty(parts: readonly string[]): string[] {
  // Not trim(): that takes a no-break space (A0 in latin1) for a blank.
  return parts.map((part) => part.replaceAll(/^[ \t]+|[ \t]+$/g, '')).filter((part) => part !== '');
}
