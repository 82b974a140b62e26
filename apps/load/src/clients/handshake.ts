import { createHash, randomBytes } from 'node:crypto';
import type { Target } from '../target.ts';

/** RFC 6455 §1.3. */
const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** Heads of servers are a few hundred bytes. */
const MAX_HEAD_BYTES = 16 * 1024;

/** `bytes` of the head when the server has upgraded, 0 while it is incomplete, or why not. */
export type HandshakeAnswer = { readonly headBytes: number } | { readonly failure: string };

const INCOMPLETE: HandshakeAnswer = { headBytes: 0 };

/**
 * The opening handshake (RFC 6455 §4.1) of all connections of one process: they share one random key, so that the
 * expected answer is computed once, and an answer that was verified before is recognised by its bytes.
 */
export class Handshake {
  readonly #key = randomBytes(16).toString('base64');
  readonly #accept = createHash('sha1')
    .update(this.#key + ACCEPT_GUID)
    .digest('base64');
  readonly #target: Target;
  /** The request of every connection, when nothing in it has a placeholder. */
  readonly #shared: Buffer | undefined;
  #verified: Buffer = Buffer.alloc(0);
  #verifiedAnswer: HandshakeAnswer = INCOMPLETE;

  constructor(target: Target) {
    this.#target = target;
    const isShared = !`${target.path}${target.headers.join('')}`.includes('{i}');
    this.#shared = isShared ? this.#encode(0) : undefined;
  }

  /** The request head of connection `number`. */
  request(number: number): Buffer {
    return this.#shared ?? this.#encode(number);
  }

  /** Judges what the server has answered so far: `bytes[start … end)`. */
  judge(bytes: Buffer, start: number, end: number): HandshakeAnswer {
    const known = this.#verified.length;
    if (
      known > 0 &&
      end - start >= known &&
      bytes.compare(this.#verified, 0, known, start, start + known) === 0
    ) {
      return this.#verifiedAnswer;
    }
    const blankLine = bytes.indexOf('\r\n\r\n', start, 'latin1');
    if (blankLine === -1 || blankLine + 4 > end) {
      return end - start > MAX_HEAD_BYTES ? { failure: 'answer too long' } : INCOMPLETE;
    }
    const failure = this.#findFailure(bytes.toString('latin1', start, blankLine));
    if (failure !== undefined) return { failure };
    this.#verified = Buffer.from(bytes.subarray(start, blankLine + 4));
    this.#verifiedAnswer = { headBytes: this.#verified.length };
    return this.#verifiedAnswer;
  }

  #findFailure(head: string): string | undefined {
    const [statusLine = '', ...lines] = head.split('\r\n');
    const status = /^HTTP\/1\.1 (\d{3})(?: |$)/.exec(statusLine)?.[1];
    if (status === undefined) return 'answer is not HTTP';
    if (status !== '101') return `http ${status}`;
    const accept = lines.find((line) => /^sec-websocket-accept:/i.test(line));
    return accept?.slice(accept.indexOf(':') + 1).trim() === this.#accept
      ? undefined
      : 'wrong Sec-WebSocket-Accept';
  }

  #encode(number: number): Buffer {
    const { path, authority, headers } = this.#target;
    const lines = [
      `GET ${path} HTTP/1.1`,
      `Host: ${authority}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${this.#key}`,
      ...headers,
      '',
      '',
    ];
    return Buffer.from(lines.join('\r\n').replaceAll('{i}', String(number)));
  }
}
