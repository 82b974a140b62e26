import { checkedLimit } from './errors.ts';
import type { RequestHead } from './request-head.ts';
import { appendHeaderLines } from './response-header.ts';
import {
  createHandshakeServer,
  isProtocolList,
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
 * Lets ws validate and answer WebSocket handshakes (RFC 6455 §4.2) without a socket: ws writes its answer to one
 * stand-in object, and the connection that it would build is an object that is thrown away at once. Synchronous, and
 * nothing of a request is kept after its call. One serves a whole worker.
 */
export class Upgrader {
  readonly #server: HandshakeServer;
  readonly #standIn = new StandIn();
  #options: UpgradeOptions = {};
  #accepted = false;

  constructor(options: { readonly maxMessageBytes: number }) {
    this.#server = createHandshakeServer({
      noServer: true,
      clientTracking: false,
      autoPong: false,
      perMessageDeflate: false,
      maxPayload: checkedLimit('maxMessageBytes', options.maxMessageBytes),
      handleProtocols: (offered) => {
        const { protocol } = this.#options;
        return protocol !== undefined && offered.has(protocol) ? protocol : false;
      },
      // ws only constructs it, sets `_protocol` and calls `setSocket`; a real WebSocket would cost 2 µs and 1 KB here.
      WebSocket: Unbuilt,
    });
    this.#server.on('headers', (lines) => {
      const { headers } = this.#options;
      if (headers !== undefined) appendHeaderLines(lines, headers, RESERVED_HEADERS);
    });
  }

  /** Answers one handshake. Throws WEBSOCKET_HEADER for `options.headers` that cannot be sent. */
  upgrade(head: RequestHead, options: UpgradeOptions = {}): UpgradeResult {
    const standIn = this.#standIn;
    standIn.written = '';
    this.#accepted = false;
    this.#options = options;
    try {
      this.#server.handleUpgrade(head, standIn, EMPTY, this.#onUpgraded);
      return { accepted: this.#accepted, response: standIn.written };
    } finally {
      this.#options = {};
      standIn.written = '';
    }
  }

  readonly #onUpgraded = (): void => {
    this.#accepted = true;
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
