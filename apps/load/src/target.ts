import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { LoadError } from './errors.ts';

/** How TLS is spoken. */
export interface TlsTarget {
  /** For SNI and the certificate's name. */
  readonly servername: string;
  /** PEM of the authorities to trust; null: those of Node. */
  readonly ca: string | null;
  /** Any certificate will do. */
  readonly isInsecure: boolean;
}

/** Where connections go. Plain data: it is sent to each load process. */
export interface Target {
  /** Numeric address. */
  readonly address: string;
  readonly port: number;
  /** Value of the Host header. */
  readonly authority: string;
  /** Path and query; `{i}` stands for the connection's number. */
  readonly path: string;
  /** Further lines of the request head, `Name: value`; `{i}` as in the path. */
  readonly headers: readonly string[];
  /** null for `ws://`. */
  readonly tls: TlsTarget | null;
}

export interface TargetOptions {
  /** Added to the query as repeated `channel=`. */
  readonly channels: readonly string[];
  readonly headers: readonly string[];
  /** Path of a PEM file. */
  readonly caFile: string | null;
  readonly isInsecure: boolean;
  readonly isPhantom: boolean;
}

/** Where the server of phantom clients listens: nothing outside its namespace is ever a target. */
const PHANTOM_SERVER = '127.0.0.1';

/**
 * Reads a `ws://` or `wss://` URL, and resolves the host's name once. Throws LOAD_ERR_OPTION for what is no such URL, a
 * name that does not resolve, a header that is none, or a file that cannot be read.
 */
export async function resolveTarget(url: string, options: TargetOptions): Promise<Target> {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new LoadError('LOAD_ERR_OPTION', `the URL must be like ws://127.0.0.1:8080/plain, got "${url}".`, {
      cause,
    });
  }
  if (parsed.protocol !== 'ws:' && parsed.protocol !== 'wss:') {
    throw new LoadError('LOAD_ERR_OPTION', `the URL must begin with ws:// or wss://, got "${url}".`);
  }
  for (const header of options.headers) {
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e]*$/.test(header)) {
      throw new LoadError(
        'LOAD_ERR_OPTION',
        `a header must be like "Name: value" in ASCII, got "${header}".`,
      );
    }
  }
  if (options.isPhantom && (parsed.protocol !== 'ws:' || parsed.hostname !== PHANTOM_SERVER)) {
    throw new LoadError(
      'LOAD_ERR_OPTION',
      `with --phantom the server is in a network namespace of its own, and the URL must begin with ws://${PHANTOM_SERVER}, got "${url}".`,
    );
  }
  const query = options.channels.map((channel) => `channel=${encodeURIComponent(channel)}`).join('&');
  const search = parsed.search === '' ? (query === '' ? '' : `?${query}`) : joinQuery(parsed.search, query);
  const hostname = parsed.hostname.replace(/^\[|\]$/g, '');
  const isTls = parsed.protocol === 'wss:';
  return {
    address: isIP(hostname) === 0 ? await resolveName(hostname) : hostname,
    port: parsed.port === '' ? (isTls ? 443 : 80) : Number(parsed.port),
    authority: parsed.host,
    // Both URL and encodeURIComponent have escaped the braces of the placeholder.
    path: (parsed.pathname + search).replaceAll(/%7Bi%7D/gi, '{i}'),
    headers: options.headers,
    tls: isTls
      ? {
          // An address is no server name (RFC 6066 §3).
          servername: isIP(hostname) === 0 ? hostname : '',
          ca: options.caFile === null ? null : readCa(options.caFile),
          isInsecure: options.isInsecure,
        }
      : null,
  };
}

function readCa(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new LoadError('LOAD_ERR_OPTION', `the file of --ca cannot be read: ${path}.`, { cause });
  }
}

function joinQuery(search: string, query: string): string {
  return query === '' ? search : `${search}&${query}`;
}

async function resolveName(hostname: string): Promise<string> {
  try {
    return (await lookup(hostname)).address;
  } catch (cause) {
    throw new LoadError('LOAD_ERR_OPTION', `the host "${hostname}" does not resolve to an address.`, {
      cause,
    });
  }
}
