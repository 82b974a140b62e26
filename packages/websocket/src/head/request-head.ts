import { absoluteForm } from './absolute-form.ts';
import { AUTHORITY, CLASSES, COLON, CR, FIELD, isDigit, LF, SPACE, TAB, TOKEN } from './character-classes.ts';
import { commonName } from './common-names.ts';
import { hasToken } from './header-list.ts';
import { INCOMPLETE, refused, type RefusedHead } from './refused-head.ts';
import { line, scanRequestLine } from './request-line.ts';

/** A parsed request head. Nothing of the bytes is kept alive by it. */
export interface RequestHead {
  /** Upper-case, one of Node's `http.METHODS` without CONNECT. */
  readonly method: string;
  /**
   * In origin form, which begins with `/`, or `*`; printable ASCII. What came in absolute form (RFC 9112 §3.2.2) is taken
   * apart: its host replaces that of the Host header.
   */
  readonly target: string;
  /**
   * Without prototype; names in lower case, repeated ones joined as Node joins them. Values are latin1. They are parts of
   * one string, the whole head, which each of them keeps alive: see {@link copyHeaders}.
   */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the head with the empty line at its end. What follows in the buffer is not part of it. */
  readonly headBytes: number;
  /** An HTTP/1.1 request that asks for the upgrade to websocket, with `Connection: upgrade` and without a body. */
  readonly isUpgrade: boolean;
}

export type RequestHeadResult =
  | { readonly kind: 'incomplete' }
  | RefusedHead
  | { readonly kind: 'complete'; readonly head: RequestHead };

export interface RequestHeadOptions {
  /** Larger heads are refused with 431. */
  readonly maxHeadBytes: number;
}

const MAX_HEADERS = 100;

const SLASH = 0x2f;
const ASTERISK = 0x2a;

/** Refused when they are repeated: two readers of the request might choose different ones. */
const UNREPEATABLE = new Set([
  'host',
  'authorization',
  'content-length',
  'transfer-encoding',
  'sec-websocket-key',
  'sec-websocket-version',
]);

/** Of these Node keeps the first (`message.headers` in its documentation). */
const FIRST_WINS = new Set([
  'age',
  'content-type',
  'etag',
  'expires',
  'from',
  'if-modified-since',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'referer',
  'retry-after',
  'server',
  'user-agent',
]);

/**
 * A tab behind these is refused. It is legal (RFC 9112 §5), but Node's parser does not see `Upgrade` or a length before
 * one: two readers of the request would disagree about where it ends.
 */
const NO_TAB_BEHIND = new Set(['connection', 'content-length', 'transfer-encoding']);

/** Legal as tokens, but no good client sends them, and copies of the headers may have a prototype. */
const PROTOTYPE_NAMES = new Set(['__proto__', 'constructor', 'prototype']);

const UPGRADE_VERSION = refused(505, 'An upgrade needs HTTP/1.1.');
const UPGRADE_CONNECTION = refused(400, 'An upgrade needs the header Connection: Upgrade.');
const UPGRADE_BODY = refused(400, 'An upgrade request must not have a body.');
const UPGRADE_TARGET = refused(
  400,
  'The target of an upgrade request must be a path, or an absolute http URL.',
);
const NAME_FAULT = refused(400, 'A header must begin with a name followed at once by a colon.');
const NAME_REFUSED = refused(400, 'A header has a name that is not accepted.');
const VALUE_FAULT = refused(
  400,
  'A header value must not contain control characters, and every line ends with CR LF.',
);
const TAB_FAULT = refused(400, 'A tab must not follow the value of a header that frames the request.');
const FOLD_FAULT = refused(400, 'Folded header lines are not accepted.');
const HOST_MISSING = refused(400, 'An HTTP/1.1 request must have a Host header.');
const HOST_FAULT = refused(400, 'The Host header must be a host name or address with an optional port.');
const REPEATED = refused(400, 'A header that must stand once is repeated.');
const LENGTH_FAULT = refused(400, 'The length of the body is not clear.');
const TOO_LARGE = refused(431, 'The request head is too large.');
const TOO_MANY = refused(431, `The request has more than ${MAX_HEADERS} headers.`);

/** Index after the first CR LF CR LF in `bytes` from `from` to `end`, or -1. */
export function findHeadEnd(bytes: Buffer, from: number, end: number): number {
  // Looks at every fourth byte, or closer where one may belong to the end.
  let index = from + 3;
  while (index < end) {
    const byte = bytes[index] ?? 0;
    if (byte > CR) {
      index += 4;
    } else if (byte === LF) {
      if (bytes[index - 1] === CR && bytes[index - 2] === LF && bytes[index - 3] === CR) return index + 1;
      index += 2;
    } else {
      index += 1;
    }
  }
  return -1;
}

/**
 * Parses the head of an HTTP/1 request that begins at `start` (RFC 9112), strictly: what Node's own parser refuses is
 * refused, and so are folded lines, bare CR or LF, control characters, repeated framing and handshake headers, more than
 * 100 headers, and targets with a fragment or outside ASCII. Empty lines before it are skipped (RFC 9112 §2.2), and
 * count as bytes of the head. An incomplete head is `refused` as soon as it cannot become a good one; looking at it again
 * costs as much as its bytes, so callers look again only when another line has ended.
 *
 * A request with an Upgrade header for another protocol (h2c) is complete and no upgrade: RFC 9110 §7.8 lets a server
 * ignore it.
 */
export function parseRequestHead(
  bytes: Buffer,
  start: number,
  end: number,
  options: RequestHeadOptions,
): RequestHeadResult {
  const { maxHeadBytes } = options;
  const lineStart = skipEmptyLines(bytes, start, end);
  const headEnd = findHeadEnd(bytes, lineStart, Math.min(end, start + maxHeadBytes));
  if (headEnd === -1) {
    const fault = findEarlyFault(bytes, lineStart, end);
    if (fault !== undefined) return fault;
    return end - start >= maxHeadBytes ? TOO_LARGE : INCOMPLETE;
  }

  const lineFault = scanRequestLine(bytes, lineStart, headEnd);
  if (lineFault !== undefined) return lineFault;
  const headers: Record<string, string> = Object.create(null);
  // One string of which the others are parts: a separate call for each would cost as much.
  const text = bytes.latin1Slice(lineStart, headEnd);
  const headerFault = readHeaders(bytes, line.end, headEnd - 2, text, lineStart, headers);
  if (headerFault !== undefined) return headerFault;
  const framingFault = checkFraming(headers);
  if (framingFault !== undefined) return framingFault;

  const isUpgrade = headers['upgrade'] !== undefined && hasToken(headers['upgrade'], 'websocket');
  if (isUpgrade) {
    const upgradeFault = checkUpgrade(bytes, headers);
    if (upgradeFault !== undefined) return upgradeFault;
  }
  return {
    kind: 'complete',
    head: {
      method: bytes.latin1Slice(lineStart, line.methodEnd),
      target: readTarget(bytes, headers),
      headers,
      headBytes: headEnd - start,
      isUpgrade,
    },
  };
}

/**
 * Whether a unique header is repeated, in a list of names and values as Node gives it (`message.rawHeaders`): of
 * such requests Node's parser keeps the first line, or both.
 */
export function hasRepeatedHeader(rawHeaders: readonly string[]): boolean {
  const seen = new Set<string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? '';
    if (!UNREPEATABLE.has(name)) continue;
    if (seen.has(name)) return true;
    seen.add(name);
  }
  return false;
}

function skipEmptyLines(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at + 1 < end && bytes[at] === CR && bytes[at + 1] === LF) at += 2;
  return at;
}

/** The target of {@link line} in origin form. */
function readTarget(bytes: Buffer, headers: Record<string, string>): string {
  const target = bytes.latin1Slice(line.targetStart, line.targetEnd);
  if (bytes[line.targetStart] === SLASH) return target;
  const absolute = absoluteForm(target);
  if (absolute === undefined) return target;
  headers['host'] = absolute.host;
  return absolute.target;
}

/** The headers as separate strings, for apps that may keep one of them for as long as a connection lives. */
export function copyHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const copies: Record<string, string> = Object.create(null);
  for (const name in headers) {
    const value = headers[name] ?? '';
    copies[name] = Buffer.from(value, 'latin1').latin1Slice(0, value.length);
  }
  return copies;
}

function readHeaders(
  bytes: Buffer,
  start: number,
  end: number,
  text: string,
  textStart: number,
  headers: Record<string, string>,
): RefusedHead | undefined {
  let at = start;
  let count = 0;
  while (at < end) {
    const nameStart = at;
    while (((CLASSES[bytes[at] ?? 0] ?? 0) & TOKEN) !== 0) at++;
    if (bytes[at] !== COLON || at === nameStart) {
      const first = bytes[nameStart];
      return first === SPACE || first === TAB ? FOLD_FAULT : NAME_FAULT;
    }
    if (++count > MAX_HEADERS) return TOO_MANY;
    const name =
      commonName(bytes, nameStart, at) ?? text.slice(nameStart - textStart, at - textStart).toLowerCase();

    at++;
    while (bytes[at] === SPACE || bytes[at] === TAB) at++;
    const valueStart = at;
    while (((CLASSES[bytes[at] ?? 0] ?? 0) & FIELD) !== 0) at++;
    if (bytes[at] !== CR || bytes[at + 1] !== LF) return VALUE_FAULT;
    let valueEnd = at;
    let hasTabBehind = false;
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === SPACE || bytes[valueEnd - 1] === TAB)) {
      valueEnd--;
      hasTabBehind ||= bytes[valueEnd] === TAB;
    }
    if (hasTabBehind && NO_TAB_BEHIND.has(name)) return TAB_FAULT;
    at += 2;

    const value = text.slice(valueStart - textStart, valueEnd - textStart);
    const earlier = headers[name];
    if (earlier !== undefined) {
      if (UNREPEATABLE.has(name)) return REPEATED;
      if (FIRST_WINS.has(name)) continue;
      headers[name] = name === 'cookie' ? `${earlier}; ${value}` : `${earlier}, ${value}`;
    } else {
      if (PROTOTYPE_NAMES.has(name)) return NAME_REFUSED;
      headers[name] = value;
    }
  }
  return undefined;
}

/** Checks the target host, and that all parties agree on where the body ends (RFC 9112 §3.2 and §6.3). */
function checkFraming(headers: Readonly<Record<string, string>>): RefusedHead | undefined {
  const host = headers['host'];
  if (host === undefined) {
    if (line.minorVersion === 1) return HOST_MISSING;
  } else {
    for (let index = 0; index < host.length; index++) {
      if (((CLASSES[host.charCodeAt(index)] ?? 0) & AUTHORITY) === 0) return HOST_FAULT;
    }
  }
  const length = headers['content-length'];
  const encoding = headers['transfer-encoding'];
  if (length !== undefined) {
    if (encoding !== undefined || length === '' || length.length > 15) return LENGTH_FAULT;
    for (let index = 0; index < length.length; index++) {
      if (!isDigit(length.charCodeAt(index))) return LENGTH_FAULT;
    }
  }
  if (encoding !== undefined && (line.minorVersion === 0 || encoding.toLowerCase() !== 'chunked')) {
    return LENGTH_FAULT;
  }
  return undefined;
}

function checkUpgrade(bytes: Buffer, headers: Readonly<Record<string, string>>): RefusedHead | undefined {
  if (line.minorVersion !== 1) return UPGRADE_VERSION;
  // Without it the header was meant for a proxy between the client and us, or was forged past a proxy.
  const connection = headers['connection'] ?? '';
  // As with NO_TAB_BEHIND: a tab hides the token from others.
  if (connection.includes('\t') || !hasToken(connection, 'upgrade')) return UPGRADE_CONNECTION;
  if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0) {
    return UPGRADE_BODY;
  }
  return bytes[line.targetStart] === ASTERISK ? UPGRADE_TARGET : undefined;
}

/** A head without its end: the fault that no further byte can mend. */
function findEarlyFault(bytes: Buffer, start: number, end: number): RequestHeadResult | undefined {
  // The half of an empty line.
  if (start + 1 === end && bytes[start] === CR) return undefined;
  const result = scanRequestLine(bytes, start, end);
  if (result === INCOMPLETE) return undefined;
  if (result !== undefined) return result;
  for (let index = line.end; index < end; index++) {
    const byte = bytes[index] ?? 0;
    if (((CLASSES[byte] ?? 0) & FIELD) !== 0) continue;
    const isLineEnd =
      (byte === CR && (index + 1 === end || bytes[index + 1] === LF)) ||
      (byte === LF && bytes[index - 1] === CR);
    if (!isLineEnd) return VALUE_FAULT;
  }
  return undefined;
}
