import { parseRequestHead, type RequestHead } from './request-head.ts';

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/**
 * The head of a GET that asks for WebSocket and is known to be good: see `PlainHandshake` in the poller. Its headers are
 * parsed when somebody asks for them; most applications look at the target only. Nothing of the bytes is kept alive by it.
 */
export class PlainHead implements RequestHead {
  readonly method = 'GET';
  readonly isUpgrade = true;
  readonly target: string;
  readonly headBytes: number;
  readonly #text: string;
  #headers: Readonly<Record<string, string>> | undefined;

  /** The head stands in `bytes` from `start` to `end`, its target from `targetStart` to `targetEnd`. */
  constructor(bytes: Buffer, start: number, end: number, targetStart: number, targetEnd: number) {
    this.target = bytes.latin1Slice(targetStart, targetEnd);
    this.headBytes = end - start;
    // One string is less than the buffer that would have to be copied.
    this.#text = bytes.latin1Slice(start, end);
  }

  get headers(): Readonly<Record<string, string>> {
    this.#headers ??= headersOf(this.#text);
    return this.#headers;
  }
}

function headersOf(text: string): Readonly<Record<string, string>> {
  const bytes = Buffer.from(text, 'latin1');
  const result = parseRequestHead(bytes, 0, bytes.length, { maxHeadBytes: bytes.length });
  return result.kind === 'complete' ? result.head.headers : NO_HEADERS;
}
