/** Most entries of `allowedOrigins`. */
export const MAX_ALLOWED_ORIGINS = 1024;

const HOST_NAME = String.raw`[a-z\d_-]+(?:\.[a-z\d_-]+)*`;
/** RFC 6454 §6.2, with the hosts that a URL may have. */
const ORIGIN = new RegExp(
  String.raw`^([a-z][a-z\d+.-]*)://(\[[\da-f:.]+\]|${HOST_NAME})(?::(\d{1,5}))?$`,
  'i',
);
/** The same, with `*.` before a name and `*` for a port. */
const PATTERN = new RegExp(
  String.raw`^([a-z][a-z\d+.-]*)://(\[[\da-f:.]+\]|(?:\*\.)?${HOST_NAME})(?::(\d{1,5}|\*))?$`,
  'i',
);
/** Origins without a host: of sandboxed and local pages, and of some apps that show local pages. */
const OPAQUE: ReadonlySet<string> = new Set(['null', 'file://']);
const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };
const MAX_PORT = 65_535;

interface Origin {
  readonly scheme: string;
  readonly host: string;
  /** 0 where the scheme has no default; −1 for any. */
  readonly port: number;
}

/**
 * Whether a text can stand in a list of allowed origins: an origin as browsers send it (`https://app.example.com`,
 * `http://localhost:3000`, `null`), `https://*.example.com`, `http://localhost:*`, or `*`.
 */
export function isOriginPattern(text: string): boolean {
  return text === '*' || OPAQUE.has(text) || parse(PATTERN, text) !== undefined;
}

/**
 * The web pages whose scripts may connect.
 *
 * Browsers say in each handshake which page asks (RFC 6455 §10.2), and no page can change that. Scheme, host and port
 * must be those of an entry; the default port may be written or not. `*.` stands for one or more labels, as in Content
 * Security Policy: `https://*.example.com` is every subdomain at any depth, and not example.com itself. `:*` is any
 * port. A request without an origin comes from a program, which could say anything: it passes. Without entries
 * every origin passes.
 */
export class AllowedOrigins {
  readonly #isOpen: boolean;
  readonly #exact = new Set<string>();
  readonly #patterns: Origin[] = [];

  /** `patterns` have been checked with {@link isOriginPattern}. */
  constructor(patterns: readonly string[]) {
    this.#isOpen = patterns.length === 0 || patterns.includes('*');
    for (const pattern of patterns) {
      const origin = parse(PATTERN, pattern);
      if (origin === undefined) this.#exact.add(pattern);
      else if (origin.port === -1 || origin.host.startsWith('*')) this.#patterns.push(origin);
      else this.#exact.add(keyOf(origin));
    }
  }

  /** Whether a handshake with these headers (lower-case names) may go on. They are not looked at when every origin passes. */
  isAllowed(head: { readonly headers: Readonly<Record<string, string>> }): boolean {
    if (this.#isOpen) return true;
    const { headers } = head;
    // Version 8 of the protocol, which ws also speaks, had another name.
    const text = headers['origin'] ?? headers['sec-websocket-origin'];
    if (text === undefined || (OPAQUE.has(text) && this.#exact.has(text))) return true;
    const origin = parse(ORIGIN, text);
    if (origin === undefined) return false;
    return this.#exact.has(keyOf(origin)) || this.#patterns.some((pattern) => matches(pattern, origin));
  }
}

function matches(pattern: Origin, origin: Origin): boolean {
  if (pattern.scheme !== origin.scheme) return false;
  if (pattern.port !== -1 && pattern.port !== origin.port) return false;
  // With its dot: https://evilexample.com is not a subdomain of example.com.
  return pattern.host.startsWith('*')
    ? origin.host.endsWith(pattern.host.slice(1))
    : origin.host === pattern.host;
}

function keyOf({ scheme, host, port }: Origin): string {
  return `${scheme}//${host}:${port}`;
}

function parse(form: RegExp, text: string): Origin | undefined {
  const match = form.exec(text);
  if (match === null) return undefined;
  const scheme = `${match[1]}:`.toLowerCase();
  const host = (match[2] ?? '').toLowerCase();
  const digits = match[3];
  const port = digits === '*' ? -1 : Number(digits ?? DEFAULT_PORTS[scheme] ?? 0);
  return port > MAX_PORT ? undefined : { scheme, host, port };
}
