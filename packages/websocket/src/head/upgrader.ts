import { hash } from 'node:crypto';
import { EMPTY } from '../empty.ts';
import { checkedLimit } from '../errors.ts';
import { deflateOffer } from './deflate-offer.ts';
import { listElements, quotedListElements } from './header-list.ts';
import { DEFLATE_WINDOW_BITS } from '../deflate/message-deflater.ts';
import { refusalResponse } from './refusal-response.ts';
import type { RequestHead } from './request-head.ts';
import { appendHeaderLines } from './response-header.ts';
import {
  createHandshakeServer,
  isProtocolList,
  type DeflateOptions,
  type HandshakeOutcome,
  type HandshakeRequest,
  type HandshakeServer,
  type HandshakeSocket,
} from '../ws/ws-adapter.ts';

export interface UpgradeOptions {
  /** The subprotocol to select, when the client offered it; without it, or when it did not, none is selected. */
  readonly protocol?: string | undefined;
  /** Added to the 101. The headers of the handshake itself, and those that frame a body, are not allowed. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface UpgradeResult {
  /** Whether the connection speaks WebSocket once `response` is sent. Otherwise it must be closed after it. */
  readonly accepted: boolean;
  /** The 101, or a 400, 405 or 426. Printable ASCII and CR LF. */
  readonly response: string;
  /** Whether messages may be compressed, each for itself (permessage-deflate without context takeover, RFC 7692). */
  readonly isDeflated: boolean;
}

/** Set by ws, or without a meaning in a 101 (RFC 9110 §8.6 forbids the lengths). */
const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-protocol',
  'transfer-encoding',
  'upgrade',
]);

/** The same as in ws (lib/websocket-server.js); a test holds the two together. */
const KEY = /^[+/0-9A-Za-z]{22}==$/;

/**
 * Whether ws will accept this handshake. Costs less than {@link Upgrader.upgrade}, so that the application is not asked
 * about requests that ws refuses anyway.
 */
export function looksLikeHandshake(head: RequestHead): boolean {
  const { headers } = head;
  const protocols = protocolOffer(headers['sec-websocket-protocol']);
  return (
    head.method === 'GET' &&
    head.isUpgrade &&
    KEY.test(headers['sec-websocket-key'] ?? '') &&
    isServedVersion(headers['sec-websocket-version']) &&
    (protocols === undefined || isProtocolList(protocols))
  );
}

/** Versions are compared as they are written (RFC 6455 §4.1 allows no leading zero); ws takes `013`, `0xd` and `13.0`. */
function isServedVersion(version: string | undefined): boolean {
  return version === '13' || version === '8';
}

/** RFC 9110 §15.5.6 asks for Allow, which ws leaves out. */
const METHOD_REFUSED = refusalResponse(405, 'A WebSocket handshake must be a GET.', { Allow: 'GET' });

/** RFC 6455 §4.2.2 (4) and §4.4. */
const VERSION_REFUSED = refusalResponse(426, 'This server speaks versions 13 and 8 of WebSocket.', {
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13, 8',
});

/** The answer to requests that ws would accept, or refuse with an incomplete answer. */
function ownRefusal({ method, headers }: RequestHead): string | undefined {
  if (method !== 'GET') return METHOD_REFUSED;
  const version = headers['sec-websocket-version'];
  return version === undefined || isServedVersion(version) ? undefined : VERSION_REFUSED;
}

/**
 * The subprotocols as ws is to be given them: without empty elements, which RFC 9110 §5.6.1.2 ignores and ws does not.
 * Undefined when none is left: React Native sends an empty header for `new WebSocket(url, [], …)`.
 */
function protocolOffer(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const protocols = value.includes(',') ? listElements(value).join(', ') : value;
  return protocols === '' ? undefined : protocols;
}

/**
 * Compression without context takeover in both directions (RFC 7692 §7.1.1), so that nothing is kept between two
 * messages. The answer says so, which the RFC allows unasked. That we use no takeover ourselves, and a small
 * window, is only answered to clients that ask: it needs no agreement, and there are clients that end the connection on
 * any parameter that they did not offer.
 */
const DEFLATE: DeflateOptions = { clientNoContextTakeover: true, clientMaxWindowBits: false };

/** What nearly all clients offer, with what is taken of it: judging an offer costs half a handshake. */
const COMMON_OFFERS: ReadonlyMap<string, string | undefined> = new Map(
  [
    'permessage-deflate',
    'permessage-deflate; client_max_window_bits',
    'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
    'permessage-deflate; client_no_context_takeover; server_no_context_takeover',
    'permessage-deflate; server_max_window_bits=12; client_max_window_bits=12',
  ].map((offers) => [offers, firstTaken(offers)]),
);

/** The first offer of compression that can be met, as ws is to be given it; undefined for none (RFC 7692 §7.1). */
function takenOffer(offers: string): string | undefined {
  return COMMON_OFFERS.get(offers) ?? firstTaken(offers);
}

function firstTaken(offers: string): string | undefined {
  for (const element of quotedListElements(offers)) {
    const offer = deflateOffer(element, DEFLATE, DEFLATE_WINDOW_BITS);
    if (offer !== undefined) return offer;
  }
  return undefined;
}

/** RFC 6455 §4.2.2. */
const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** The answer to a good handshake that selects nothing; byte for byte that of ws, to which a test holds it. */
function accept(key: string, headers: UpgradeOptions['headers']): UpgradeResult {
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${hash('sha1', key + ACCEPT_GUID, 'base64')}`,
  ];
  if (headers !== undefined) appendHeaderLines(lines, headers, RESERVED_HEADERS);
  lines.push('\r\n');
  const response = lines.join('\r\n');
  return { accepted: true, response, isDeflated: false };
}

/**
 * Answers WebSocket handshakes (RFC 6455 §4.2) without a socket. A good one that selects neither a subprotocol nor
 * compression is answered at once: a third of what ws takes for it. All others are validated and answered by ws, which
 * writes to one stand-in object, and whose connection is an object that is thrown away at once. Where ws is stricter
 * than the RFCs it is given what it takes instead: one form of each list header. Synchronous, and nothing of a request
 * is kept after its call. One serves a whole worker.
 */
export class Upgrader {
  readonly #plain: HandshakeServer;
  /** Agrees on compression with clients that offer it; undefined when it is off. */
  readonly #deflating: HandshakeServer | undefined;
  readonly #standIn = new StandIn();
  #options: UpgradeOptions = {};
  #accepted = false;
  #isDeflated = false;

  /** `compression`: agree on it where a client offers it. Default false. */
  constructor(options: { readonly maxMessageBytes: number; readonly compression?: boolean }) {
    const maxPayload = checkedLimit('maxMessageBytes', options.maxMessageBytes);
    this.#plain = this.#createServer(maxPayload, false);
    this.#deflating = options.compression === true ? this.#createServer(maxPayload, DEFLATE) : undefined;
  }

  /**
   * Answers one handshake. The first offer of compression that can be met is taken; others are declined, also malformed
   * ones, which leaves the connection uncompressed. Throws WEBSOCKET_HEADER for `options.headers` that cannot be sent.
   */
  upgrade(head: RequestHead, options: UpgradeOptions = {}): UpgradeResult {
    const { headers } = head;
    const offers = headers['sec-websocket-extensions'];
    const offer = this.#deflating === undefined || offers === undefined ? undefined : takenOffer(offers);
    const protocols = protocolOffer(headers['sec-websocket-protocol']);
    if (offer === undefined && protocols === undefined && looksLikeHandshake(head)) {
      return accept(headers['sec-websocket-key'] ?? '', options.headers);
    }
    const refusal = ownRefusal(head);
    if (refusal !== undefined) return { accepted: false, response: refusal, isDeflated: false };
    // ws is given the headers that it reads, in the one form of each that it takes.
    const request: HandshakeRequest = {
      method: head.method,
      headers: {
        upgrade: head.isUpgrade ? 'websocket' : '',
        'sec-websocket-key': headers['sec-websocket-key'],
        'sec-websocket-version': headers['sec-websocket-version'],
        'sec-websocket-protocol': protocols,
        'sec-websocket-extensions': offer,
      },
    };
    return this.#ask(offer === undefined ? this.#plain : (this.#deflating ?? this.#plain), request, options);
  }

  #createServer(maxPayload: number, perMessageDeflate: DeflateOptions | false): HandshakeServer {
    const server = createHandshakeServer({
      noServer: true,
      clientTracking: false,
      autoPong: false,
      perMessageDeflate,
      maxPayload,
      handleProtocols: (offered) => {
        const { protocol } = this.#options;
        return protocol !== undefined && offered.has(protocol) ? protocol : false;
      },
      // ws only constructs it, sets `_protocol` and calls `setSocket`; a real WebSocket would cost 2 µs and 1 KB here.
      WebSocket: Unbuilt,
    });
    server.on('headers', (lines) => {
      const { headers } = this.#options;
      if (headers !== undefined) appendHeaderLines(lines, headers, RESERVED_HEADERS);
    });
    return server;
  }

  #ask(server: HandshakeServer, request: HandshakeRequest, options: UpgradeOptions): UpgradeResult {
    const standIn = this.#standIn;
    standIn.written = '';
    this.#accepted = false;
    this.#isDeflated = false;
    this.#options = options;
    try {
      server.handleUpgrade(request, standIn, EMPTY, this.#onUpgraded);
      return { accepted: this.#accepted, response: standIn.written, isDeflated: this.#isDeflated };
    } finally {
      this.#options = {};
      standIn.written = '';
    }
  }

  readonly #onUpgraded = (outcome: HandshakeOutcome): void => {
    this.#accepted = true;
    // oxlint-disable-next-line no-underscore-dangle
    this.#isDeflated = outcome._extensions !== undefined;
  };
}

/** What ws takes for the socket of a handshake. */
class StandIn implements HandshakeSocket {
  readonly readable = true;
  readonly writable = true;
  written = '';

  on(): this {
    return this;
  }

  once(): this {
    return this;
  }

  removeListener(): this {
    return this;
  }

  write(text: string): boolean {
    this.written += text;
    return true;
  }

  end(text: string): this {
    this.written += text;
    return this;
  }

  destroy(): this {
    return this;
  }
}

/** What ws takes for the connection that it has upgraded. */
class Unbuilt implements HandshakeOutcome {
  // oxlint-disable-next-line no-underscore-dangle
  _protocol = '';

  setSocket(): void {
    // The connection is a row of the worker's table, and nothing else.
  }
}
