import { METHODS } from 'node:http';
import { AUTHORITY, CLASSES, CR, isDigit, LF, SPACE, TARGET } from './character-classes.ts';
import { INCOMPLETE, refused, type RefusedHead } from './refused-head.ts';

/** CONNECT asks for a tunnel, which this server does not offer. */
const KNOWN_METHODS = new Set(METHODS.filter((method) => method !== 'CONNECT'));
const MAX_METHOD_BYTES = 32;

/** Why the line is refused, INCOMPLETE, or undefined when it is whole and good. */
type ScanResult = RefusedHead | typeof INCOMPLETE | undefined;

const METHOD_FAULT = refused(
  400,
  'The request line must begin with a method in capital letters and one space.',
);
const METHOD_UNKNOWN = refused(501, 'This method is not served here.');
const TARGET_FAULT = refused(
  400,
  'The request target must be a path, or an absolute http URL, in printable ASCII.',
);
const VERSION_FAULT = refused(400, 'The request line must end with HTTP/1.1 and CR LF.');
const VERSION_UNKNOWN = refused(505, 'Only HTTP/1.1 and HTTP/1.0 are served here.');

/** Where the parts of a request line end. Reused: parsing is synchronous. */
export const line = { methodEnd: 0, targetStart: 0, targetEnd: 0, minorVersion: 0, end: 0 };

/** Reads the request line into {@link line}. Of a piece of one, INCOMPLETE when it may still become good. */
export function scanRequestLine(bytes: Buffer, start: number, end: number): ScanResult {
  let at = start;
  for (;;) {
    if (at === end) return at - start > MAX_METHOD_BYTES ? METHOD_FAULT : INCOMPLETE;
    const byte = bytes[at] ?? 0;
    if (byte === SPACE) break;
    if ((byte < 0x41 || byte > 0x5a) && byte !== 0x2d) return METHOD_FAULT;
    at++;
  }
  if (at === start || at - start > MAX_METHOD_BYTES) return METHOD_FAULT;
  line.methodEnd = at;
  const method = bytes.latin1Slice(start, at);
  if (method !== 'GET' && !KNOWN_METHODS.has(method)) {
    // The preface of HTTP/2 is PRI * HTTP/2.0 (RFC 9113 §3.4).
    return method === 'PRI' ? VERSION_UNKNOWN : METHOD_UNKNOWN;
  }

  at++;
  line.targetStart = at;
  while (at < end && ((CLASSES[bytes[at] ?? 0] ?? 0) & TARGET) !== 0) at++;
  line.targetEnd = at;
  if (at === end) {
    return at === line.targetStart || (bytes[line.targetStart] ?? 0) === 0x2f || isTarget(bytes, method, true)
      ? INCOMPLETE
      : TARGET_FAULT;
  }
  if (bytes[at] !== SPACE || !isTarget(bytes, method, false)) return TARGET_FAULT;
  return scanVersion(bytes, at + 1, end);
}

const VERSION_PREFIX = Buffer.from('HTTP/');

function scanVersion(bytes: Buffer, start: number, end: number): ScanResult {
  for (let index = 0; index < VERSION_PREFIX.length; index++) {
    if (start + index >= end) return INCOMPLETE;
    if (bytes[start + index] !== VERSION_PREFIX[index]) return VERSION_FAULT;
  }
  const at = start + VERSION_PREFIX.length;
  if (at >= end) return INCOMPLETE;
  const major = bytes[at] ?? 0;
  if (!isDigit(major)) return VERSION_FAULT;
  if (at + 1 >= end) return INCOMPLETE;
  if (bytes[at + 1] !== 0x2e) return VERSION_FAULT;
  if (at + 2 >= end) return INCOMPLETE;
  const minor = bytes[at + 2] ?? 0;
  if (!isDigit(minor)) return VERSION_FAULT;
  if (at + 3 >= end) return INCOMPLETE;
  if (bytes[at + 3] !== CR) return VERSION_FAULT;
  if (at + 4 >= end) return INCOMPLETE;
  if (bytes[at + 4] !== LF) return VERSION_FAULT;
  if (major !== 0x31 || minor > 0x31) return VERSION_UNKNOWN;
  line.minorVersion = minor - 0x30;
  line.end = at + 5;
  return undefined;
}

/** Whether the target in {@link line}, or the piece of it that has arrived, has a form that is served. */
function isTarget(bytes: Buffer, method: string, isPiece: boolean): boolean {
  const { targetStart: start, targetEnd: end } = line;
  const first = bytes[start];
  if (first === 0x2f) return true;
  if (first === 0x2a) return method === 'OPTIONS' && end - start === 1;
  const prefix = bytes.latin1Slice(start, Math.min(end, start + 8)).toLowerCase();
  let at = start;
  if (prefix.startsWith('http://')) at += 7;
  else if (prefix === 'https://') at += 8;
  else return isPiece && ('http://'.startsWith(prefix) || 'https://'.startsWith(prefix));
  const authority = at;
  while (at < end && ((CLASSES[bytes[at] ?? 0] ?? 0) & AUTHORITY) !== 0) at++;
  if (at === end) return isPiece || at > authority;
  return at > authority && (bytes[at] === 0x2f || bytes[at] === 0x3f);
}
