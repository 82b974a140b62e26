import { native } from './native.ts';

/** Elements of the fields, as in native/handshake.cc. */
const TARGET_START = 0;
const TARGET_END = 1;
const OFFERS_EXTENSIONS = 2;
const FIELDS = 3;

const BEFORE_ACCEPT =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ';
const ACCEPT_BYTES = 28;
const EMPTY_HEADERS = '\r\n\r\n';

/**
 * Reads opening handshakes that select nothing, and writes their 101 (RFC 6455 §4.2), in one native call. One serves any
 * number of connections; each {@link read} overwrites what the one before has found.
 *
 * Plain is a whole GET of a path by HTTP/1.1 with one Host, one `Upgrade: websocket`, one `Connection` that is `Upgrade` or
 * that and `keep-alive`, one key, version 13, no subprotocol, no length, and no header that the parser of a request head
 * might refuse. That parser takes all of these, and answers the same of them.
 */
export class PlainHandshake {
  /** The 101 of the handshake that was read last. Lent: the next {@link read} overwrites it. */
  readonly response = Buffer.from(`${BEFORE_ACCEPT}${' '.repeat(ACCEPT_BYTES)}${EMPTY_HEADERS}`, 'latin1');
  readonly #accept = this.response.subarray(BEFORE_ACCEPT.length, BEFORE_ACCEPT.length + ACCEPT_BYTES);
  readonly #fields = new Int32Array(FIELDS);
  readonly #native = native();

  /**
   * Bytes of the head with its empty line when `bytes` from `start` to `end` begin with a plain handshake; 0 when they do
   * not, and another reader must look at them.
   */
  read(bytes: Uint8Array, start: number, end: number): number {
    return this.#native.readPlainHandshake(bytes, start, end, this.#fields, this.#accept);
  }

  /** Where the path begins in the bytes that were read. */
  get targetStart(): number {
    return this.#fields[TARGET_START] ?? 0;
  }

  get targetEnd(): number {
    return this.#fields[TARGET_END] ?? 0;
  }

  /** The client offers extensions: it need not be given any. */
  get offersExtensions(): boolean {
    return this.#fields[OFFERS_EXTENSIONS] !== 0;
  }
}
