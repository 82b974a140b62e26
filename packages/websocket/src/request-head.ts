import { METHODS } from 'node:http';

/** A parsed request head. It holds copies only: nothing of the bytes is kept alive by it. */
export interface RequestHead {
  /** Upper-case, one of Node's `http.METHODS` without CONNECT. */
  readonly method: string;
  /** As the client sent it; printable ASCII. Of an upgrade always in origin-form: it begins with `/`. */
  readonly target: string;
  /** Without prototype; names in lower case, repeated ones joined as Node joins them. Values are latin1. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the head with the empty line at its end. What follows in the buffer is not part of it. */
  readonly headBytes: number;
  /** An HTTP/1.1 request that asks for the upgrade to websocket, with `Connection: upgrade` and without a body. */
  readonly isUpgrade: boolean;
}

export interface RefusedHead {
  readonly kind: 'refused';
  /** 400, 431 (too large), 501 (method) or 505 (version). */
  readonly status: number;
  /** One sentence for the body of the response. */
  readonly reason: string;
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
const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;

/** CR LF CR LF, as {@link findHeadEnd} packs it. */
const HEAD_END = 0x0d0a0d0a;

/** Character classes of RFC 9110 §5.6.2 (token), §5.5 (field content with obs-text) and RFC 3986 §3 (narrowed). */
const TOKEN = 1;
const FIELD = 2;
const TARGET = 4;
const AUTHORITY = 8;
const CLASSES = characterClasses();

/** CONNECT asks for a tunnel, which nobody here will build. */
const KNOWN_METHODS = new Set(METHODS.filter((method) => method !== 'CONNECT'));
const MAX_METHOD_BYTES = 32;

/** Refused when they are repeated: two readers of the request might choose different ones. */
const UNREPEATABLE = new Set([
  'host',
  'upgrade',
  'content-length',
  'transfer-encoding',
  'sec-websocket-key',
  'sec-websocket-version',
]);

/** Of these Node keeps the first (`message.headers` in its documentation). */
const FIRST_WINS = new Set([
  'age',
  'authorization',
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

/** Legal as tokens, but nobody sends them for a good purpose, and copies of the headers may have a prototype. */
const PROTOTYPE_NAMES = new Set(['__proto__', 'constructor', 'prototype']);

const INCOMPLETE: RequestHeadResult = Object.freeze({ kind: 'incomplete' });
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
const UPGRADE_VERSION = refused(505, 'An upgrade needs HTTP/1.1.');
const UPGRADE_CONNECTION = refused(400, 'An upgrade needs the header Connection: Upgrade.');
const UPGRADE_BODY = refused(400, 'An upgrade request must not have a body.');
const UPGRADE_TARGET = refused(400, 'The target of an upgrade request must be a path.');
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

/** Where the parts of a request line end. Reused: parsing is synchronous. */
const line = { methodEnd: 0, targetStart: 0, targetEnd: 0, minorVersion: 0, end: 0 };

/**
 * Index after the first CR LF CR LF in `bytes` from `from` to `end`, or -1.
 *
 * `preceding` are the last three bytes that came before `from` in an earlier piece (see `InboundBuffer.lastBytes`), so
 * that a head that arrives byte by byte is looked at once.
 */
export function findHeadEnd(bytes: Buffer, from: number, end: number, preceding = 0): number {
  if (preceding !== 0) {
    let packed = preceding;
    const limit = Math.min(end, from + 3);
    for (let index = from; index < limit; index++) {
      packed = (packed << 8) | (bytes[index] ?? 0);
      if (packed === HEAD_END) return index + 1;
    }
  }
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
 * refused, and so are folded lines, bare CR or LF, a leading empty line, control characters, repeated framing and
 * handshake headers, more than 100 headers, and targets with a fragment or outside ASCII. An incomplete head is
 * `refused` as soon as it cannot become a good one; looking at it again costs as much as its bytes, so callers look
 * again when `findHeadEnd` has found the end, or when it has doubled.
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
  const headEnd = findHeadEnd(bytes, start, Math.min(end, start + maxHeadBytes));
  if (headEnd === -1) {
    const fault = findEarlyFault(bytes, start, end);
    if (fault !== undefined) return fault;
    return end - start >= maxHeadBytes ? TOO_LARGE : INCOMPLETE;
  }

  const lineFault = scanRequestLine(bytes, start, headEnd);
  if (lineFault !== undefined) return lineFault;
  const headers: Record<string, string> = Object.create(null);
  const headerFault = readHeaders(bytes, line.end, headEnd - 2, headers);
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
      method: bytes.latin1Slice(start, line.methodEnd),
      target: bytes.latin1Slice(line.targetStart, line.targetEnd),
      headers,
      headBytes: headEnd - start,
      isUpgrade,
    },
  };
}

/** Reads the request line into {@link line}. Of a piece of one, INCOMPLETE when it may still become good. */
function scanRequestLine(bytes: Buffer, start: number, end: number): RequestHeadResult | undefined {
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

function scanVersion(bytes: Buffer, start: number, end: number): RequestHeadResult | undefined {
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

function readHeaders(
  bytes: Buffer,
  start: number,
  end: number,
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
    const name = bytes.latin1Slice(nameStart, at).toLowerCase();

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

    const value = bytes.latin1Slice(valueStart, valueEnd);
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

/** Checks who is asked, and that everybody will agree on where the body ends (RFC 9112 §3.2 and §6.3). */
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
  // Without it the header was meant for somebody between the client and us, or was forged past a proxy.
  const connection = headers['connection'] ?? '';
  // As with NO_TAB_BEHIND: a tab hides the token from others.
  if (connection.includes('\t') || !hasToken(connection, 'upgrade')) return UPGRADE_CONNECTION;
  if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0) {
    return UPGRADE_BODY;
  }
  return bytes[line.targetStart] === 0x2f ? undefined : UPGRADE_TARGET;
}

/** A head without its end: the fault that no further byte can mend. */
function findEarlyFault(bytes: Buffer, start: number, end: number): RequestHeadResult | undefined {
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

/** Whether a comma-separated list contains the token, which is given in lower case. */
function hasToken(list: string, token: string): boolean {
  const lower = list.toLowerCase();
  // Not trim(): that takes a no-break space (A0 in latin1) for a blank.
  return (
    lower === token || lower.split(',').some((item) => item.replaceAll(/^[ \t]+|[ \t]+$/g, '') === token)
  );
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function refused(status: number, reason: string): RefusedHead {
  return Object.freeze({ kind: 'refused', status, reason });
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
