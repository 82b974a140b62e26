import { PlainHandshake } from '@roost/poller';
import { PlainHead, type RequestHead } from '@roost/websocket';
import type { FarmConfig } from '../../options/options.ts';

/**
 * The short way of nearly all handshakes: those whose bytes say that they are good and that there is nothing to agree on.
 * One native call finds that out and writes the 101; the parser and the upgrader see only the others.
 */
export class PlainHandshakes {
  readonly #handshake = new PlainHandshake();
  readonly #maxHeadBytes: number;
  readonly #compresses: boolean;
  #last: RequestHead | undefined;

  constructor(config: Pick<FarmConfig, 'compression' | 'maxRequestHeadBytes'>) {
    this.#maxHeadBytes = config.maxRequestHeadBytes;
    this.#compresses = config.compression;
  }

  /** The head of the plain handshake with which `bytes` from `start` to `end` begin; undefined when it is none. */
  read(bytes: Buffer, start: number, end: number): RequestHead | undefined {
    const handshake = this.#handshake;
    const headBytes = handshake.read(bytes, start, Math.min(end, start + this.#maxHeadBytes));
    this.#last = undefined;
    // Compression has to be agreed on.
    if (headBytes === 0 || (this.#compresses && handshake.offersExtensions)) return undefined;
    const { targetStart, targetEnd } = handshake;
    this.#last = new PlainHead(bytes, start, start + headBytes, targetStart, targetEnd);
    return this.#last;
  }

  /** The 101 to this head, lent; undefined when another one has been read since, or it is none of these. */
  responseTo(head: RequestHead): Buffer | undefined {
    return head === this.#last ? this.#handshake.response : undefined;
  }
}
