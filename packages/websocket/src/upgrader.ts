import { hash } from 'node:crypto';
import { checkedLimit } from './errors.ts';
import { DEFLATE_WINDOW_BITS } from './message-deflater.ts';
import type { RequestHead } from './request-head.ts';
import { appendHeaderLines } from './response-header.ts';
import {
  createHandshakeServer,
  isExtensionList,
  isProtocolList,
  type DeflateOptions,
  type HandshakeOutcome,
  type HandshakeServer,
  type HandshakeSocket,
} from './ws-adapter.ts';

export interface UpgradeOptions {
  /** The subprotocol to select, when the client offered it; without it, or when it did not, none is selected. */
  readonly protocol?: string | undefined;
  /** Added to the 101. The headers of the handshake itself, and those that frame a body, are not allowed. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface UpgradeResult {
  /** Whether the connection speaks WebSocket once `response` is sent. Otherwise it must be closed after it. */
  readonly accepted: boolean;
  /** What ws wrote: the 101, or its 400, 405 or 426. Printable ASCII and CR LF. */
  readonly response: string;
  /** Whether messages may be compressed, each for itself (permessage-deflate without context takeover, RFC 7692). */
  readonly isDeflated: boolean;
}

const EMPTY = Buffer.alloc(0);

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
  const version = Number(headers['sec-websocket-version']);
  const protocols = headers['sec-websocket-protocol'];
  return (
    head.method === 'GET' &&
    headers['upgrade']?.toLowerCase() === 'websocket' &&
    KEY.test(headers['sec-websocket-key'] ?? '') &&
    (version === 13 || version === 8) &&
    (protocols === undefined || isProtocolList(protocols))
  );
}

/**
 * Compression without context takeover in both directions (RFC 7692 §7.1.1), so that nothing is kept between two
 * messages, and with one window for all, so that one frame serves all. An offer that asks for a smaller window cannot be
 * met.
 */
const DEFLATE: DeflateOptions = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: DEFLATE_WINDOW_BITS,
  clientMaxWindowBits: false,
};

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
 * writes to one stand-in object, and whose connection is an object that is thrown away at once. Synchronous, and
 * nothing of a request is kept after its call. One serves a whole worker.
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
   * Answers one handshake. An offer of compression that is well-formed but cannot be met is declined, which leaves the
   * connection uncompressed; ws would refuse it. Throws WEBSOCKET_HEADER for `options.headers` that cannot be sent.
   */
  upgrade(head: RequestHead, options: UpgradeOptions = {}): UpgradeResult {
    const offers = head.headers['sec-websocket-extensions'];
    if (this.#deflating !== undefined && offers !== undefined) {
      const result = this.#ask(this.#deflating, head, options);
      if (result.accepted || !isExtensionList(offers)) return result;
    }
    if (head.headers['sec-websocket-protocol'] === undefined && looksLikeHandshake(head)) {
      return accept(head.headers['sec-websocket-key'] ?? '', options.headers);
    }
    return this.#ask(this.#plain, head, options);
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

  #ask(server: HandshakeServer, head: RequestHead, options: UpgradeOptions): UpgradeResult {
    const standIn = this.#standIn;
    standIn.written = '';
    this.#accepted = false;
    this.#isDeflated = false;
    this.#options = options;
    try {
      server.handleUpgrade(head, standIn, EMPTY, this.#onUpgraded);
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
