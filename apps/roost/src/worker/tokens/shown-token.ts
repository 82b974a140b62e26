import type { TokenClaims, UpgradeRequest } from '@roost/farm';

const QUERY_NAME = 'token';
const PROTOCOL_PREFIX = 'bearer.';
const AUTHORIZATION = /^bearer(?: +(.*))?$/i;

/** The tokens of a request, from its query, its Authorization header and the subprotocols that it offers. */
export function shownTokens(request: UpgradeRequest): readonly string[] {
  const tokens: string[] = [];
  // Most requests have no query, and a query is parsed when it is first asked for.
  if (request.url.includes('?')) tokens.push(...request.query.getAll(QUERY_NAME));
  const authorization = AUTHORIZATION.exec(request.headers['authorization'] ?? '');
  if (authorization !== null) tokens.push(authorization[1] ?? '');
  for (const protocol of request.protocols) {
    if (protocol.startsWith(PROTOCOL_PREFIX)) tokens.push(protocol.slice(PROTOCOL_PREFIX.length));
  }
  return tokens;
}

/**
 * A request whose token has been verified, as the apps see it: with the token's claims, and without the token itself in
 * the URL, the headers and the protocols, so that no app can log it by accident.
 */
export class VerifiedRequest implements UpgradeRequest {
  readonly claims: TokenClaims;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly protocols: readonly string[];
  /**
   * What to select when the app selects nothing and the token came as a protocol, for browsers give up a connection whose
   * server ignores all that they offered: the first other protocol, or, where there is none, the token.
   */
  readonly defaultProtocol: string | undefined;
  readonly #request: UpgradeRequest;
  #query: URLSearchParams | undefined;

  constructor(request: UpgradeRequest, claims: TokenClaims) {
    this.#request = request;
    this.claims = claims;
    this.url = withoutToken(request.url);
    this.protocols = request.protocols.filter((protocol) => !protocol.startsWith(PROTOCOL_PREFIX));
    this.headers = request.headers;
    const isInProtocols = this.protocols.length < request.protocols.length;
    this.defaultProtocol = isInProtocols ? (this.protocols[0] ?? request.protocols[0]) : undefined;
    const isInHeader = AUTHORIZATION.test(request.headers['authorization'] ?? '');
    if (isInHeader || isInProtocols) this.headers = withoutCredentials(request.headers, this.protocols);
  }

  get path(): string {
    return this.#request.path;
  }

  get query(): URLSearchParams {
    const start = this.url.indexOf('?');
    this.#query ??= new URLSearchParams(start === -1 ? '' : this.url.slice(start + 1));
    return this.#query;
  }

  get remoteAddress(): string {
    return this.#request.remoteAddress;
  }

  get signal(): AbortSignal {
    return this.#request.signal;
  }
}

/** The rest of the query stays as it was written. */
function withoutToken(url: string): string {
  const start = url.indexOf('?');
  if (start === -1) return url;
  const members = url.slice(start + 1).split('&');
  // Decoded, since %74oken is the same name.
  const kept = members.filter((member) => !new URLSearchParams(member).has(QUERY_NAME));
  if (kept.length === members.length) return url;
  return kept.length === 0 ? url.slice(0, start) : `${url.slice(0, start)}?${kept.join('&')}`;
}

function withoutCredentials(
  headers: Readonly<Record<string, string>>,
  protocols: readonly string[],
): Readonly<Record<string, string>> {
  // Without a prototype, as the original.
  const kept: Record<string, string> = Object.assign(Object.create(null), headers);
  if (AUTHORIZATION.test(kept['authorization'] ?? '')) delete kept['authorization'];
  if (protocols.length === 0) delete kept['sec-websocket-protocol'];
  else kept['sec-websocket-protocol'] = protocols.join(', ');
  return kept;
}
