export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const COLON = 0x3a;

/** Character classes of RFC 9110 §5.6.2 (token), §5.5 (field content with obs-text) and RFC 3986 §3 (narrowed). */
export const TOKEN = 1;
export const FIELD = 2;
export const TARGET = 4;
export const AUTHORITY = 8;
export const CLASSES = characterClasses();

export function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function characterClasses(): Uint8Array {
  const classes = new Uint8Array(256);
  for (let code = 0; code < 256; code++) {
    const character = String.fromCharCode(code);
    let bits = 0;
    if (/[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(character)) bits |= TOKEN;
    if (code === TAB || (code >= SPACE && code !== 0x7f)) bits |= FIELD;
    if (code > SPACE && code < 0x7f && character !== '#') bits |= TARGET;
    if (/[0-9A-Za-z.\-_~:[\]]/.test(character)) bits |= AUTHORITY;
    classes[code] = bits;
  }
  return classes;
}
