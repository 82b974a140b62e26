import { parseRequestHead, type RequestHead } from '@roost/websocket';
import { CloseCode } from '../../api/close-codes.ts';
import type { Counters } from '../../api/counters.ts';
import type { FarmConfig } from '../../options/options.ts';
import { RowFlag, type ConnectionTable } from '../rows/connection-table.ts';
import type { InboundBuffer } from '../rows/inbound-buffer.ts';
import type { Rows } from '../rows/rows.ts';
import type { Deciding } from './deciding.ts';
import type { Http } from './http.ts';
import type { PlainHandshakes } from './plain-handshakes.ts';
import { REFUSALS } from './refusals.ts';
import type { Refusing } from './refusing.ts';
import { State } from './state.ts';

export interface HandshakeParts {
  readonly config: Pick<FarmConfig, 'maxRequestHeadBytes'>;
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly counters: Counters;
  readonly inboundBuffer: InboundBuffer;
  readonly refusing: Refusing;
  readonly http: Http;
  readonly plainHandshakes: Pick<PlainHandshakes, 'read'>;
  readonly deciding: Deciding;
}

const LINE_FEED = 0x0a;

/**
 * From the first byte of a request to the end of its head. A head that asks for WebSocket goes on to the apps; the others
 * go to the HTTP server.
 */
export class Handshake extends State {
  readonly #maxHeadBytes: number;
  readonly #table: ConnectionTable;
  readonly #counters: Counters;
  readonly #inboundBuffer: InboundBuffer;
  readonly #refusing: Refusing;
  readonly #http: Http;
  readonly #plainHandshakes: HandshakeParts['plainHandshakes'];
  readonly #deciding: Deciding;

  constructor(parts: HandshakeParts) {
    super(parts.rows);
    this.#maxHeadBytes = parts.config.maxRequestHeadBytes;
    this.#table = parts.table;
    this.#counters = parts.counters;
    this.#inboundBuffer = parts.inboundBuffer;
    this.#refusing = parts.refusing;
    this.#http = parts.http;
    this.#plainHandshakes = parts.plainHandshakes;
    this.#deciding = parts.deciding;
  }

  receive(slot: number, bytes: Buffer, start: number, end: number): void {
    const stored = this.#inboundBuffer.length(slot);
    const plain = stored === 0 ? this.#plainHandshakes.read(bytes, start, end) : undefined;
    if (plain === undefined) this.#parse(slot, stored, bytes, start, end);
    else this.#upgrade(slot, plain, bytes, start, end);
  }

  onTimeout(slot: number): void {
    if (this.#inboundBuffer.length(slot) > 0) {
      this.#refusing.refuse(slot, REFUSALS.headTimeout);
    } else {
      this.#counters.add('refused_handshake_timeout');
      this.rows.end(slot, CloseCode.abnormal, '');
    }
  }

  #parse(slot: number, stored: number, bytes: Buffer, start: number, end: number): void {
    let source = bytes;
    let from = start;
    let to = end;
    if (stored > 0) {
      // A head can only end with a line: a dribbling client is parsed once per line, not once per byte.
      const hasLineEnd = bytes.subarray(start, end).includes(LINE_FEED);
      if (!hasLineEnd && stored + end - start <= this.#maxHeadBytes) {
        this.#keep(slot, bytes, start, end);
        return;
      }
      source = this.#inboundBuffer.take(slot, bytes, start, end);
      from = 0;
      to = source.length;
    }
    const result = parseRequestHead(source, from, to, { maxHeadBytes: this.#maxHeadBytes });
    if (result.kind === 'incomplete') {
      this.#keep(slot, source, from, to);
    } else if (result.kind === 'refused') {
      const { status, reason } = result;
      this.#refusing.refuse(slot, { status, reason, counter: 'refused_bad_request' });
    } else if (this.#table.hasFlag(slot, RowFlag.limited)) {
      this.#refusing.refuse(slot, REFUSALS.limitedAddress);
    } else if (result.head.isUpgrade) {
      this.#upgrade(slot, result.head, source, from, to);
    } else {
      this.#counters.add('http_connections');
      this.#http.take(slot, source, from, to);
    }
  }

  #upgrade(slot: number, head: RequestHead, bytes: Buffer, start: number, end: number): void {
    if (this.#table.hasFlag(slot, RowFlag.limited)) this.#refusing.refuse(slot, REFUSALS.limitedAddress);
    else this.#deciding.begin(slot, head, bytes, start + head.headBytes, end);
  }

  #keep(slot: number, bytes: Buffer, start: number, end: number): void {
    if (start === end || this.#inboundBuffer.append(slot, bytes, start, end)) return;
    this.#refusing.refuse(slot, REFUSALS.noMemory);
  }
}
