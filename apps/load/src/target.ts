import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { LoadError } from './errors.ts';

/** Where connections go. Plain data: it is sent to each load process. */
export interface Target {
  /** Numeric address. */
  readonly address: string;
  readonly port: number;
  /** Value of the Host header. */
  readonly authority: string;
  /** Path and query; `{i}` stands for the connection's number. */
  readonly path: string;
}

/**
 * Reads a `ws://` URL, adds `channels` to its query as repeated `channel=`, and resolves the host's name once.
 * Throws LOAD_ERR_OPTION for what is no such URL, or a name that does not resolve.
 */
export async function resolveTarget(url: string, channels: readonly string[]): Promise<Target> {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new LoadError('LOAD_ERR_OPTION', `the URL must be like ws://127.0.0.1:8080/plain, got "${url}".`, {
      cause,
    });
  }
  if (parsed.protocol !== 'ws:') {
    throw new LoadError(
      'LOAD_ERR_OPTION',
      `the URL must begin with ws://, got "${url}": TLS is not spoken here, so load the port behind the proxy.`,
    );
  }
  const query = channels.map((channel) => `channel=${encodeURIComponent(channel)}`).join('&');
  const search = parsed.search === '' ? (query === '' ? '' : `?${query}`) : joinQuery(parsed.search, query);
  const hostname = parsed.hostname.replace(/^\[|\]$/g, '');
  return {
    address: isIP(hostname) === 0 ? await resolveName(hostname) : hostname,
    port: parsed.port === '' ? 80 : Number(parsed.port),
    authority: parsed.host,
    // Both URL and encodeURIComponent have escaped the braces of the placeholder.
    path: (parsed.pathname + search).replaceAll(/%7Bi%7D/gi, '{i}'),
  };
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
