import { CloseCode } from '../../api/close-codes.ts';
import type { CounterName, Counters } from '../../api/counters.ts';
import type { FarmConfig, ProxyProtocol } from '../../options/options.ts';
import type { TrustedProxies } from '../../options/trusted-proxies.ts';
import { RowFlag, RowState, type ConnectionTable } from '../rows/connection-table.ts';
import type { InboundBuffer } from '../rows/inbound-buffer.ts';
import type { Rows } from '../rows/rows.ts';
import { readProxyHeader } from './proxy-header.ts';
import { State } from './state.ts';

export interface PrefaceParts {
  readonly config: Pick<FarmConfig, 'proxyProtocol' | 'maxRequestHeadBytes'>;
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly counters: Counters;
  readonly inboundBuffer: InboundBuffer;
  readonly trustedProxies: TrustedProxies;
  /** What stands behind a preface, or comes first where there is none. */
  readonly next: { readonly state: number; readonly part: Pick<State, 'receive'> };
}

/**
 * What a proxy says before the client's first byte: the header of the PROXY protocol.
 *
 * It stands in front of everything else. A row whose peer may send one begins in state preface instead of handshake
 * (with TLS: securing), within the same `handshakeTimeoutMs`; when the header has been read the row has the client's address, and whatever
 * came behind goes on as if it had come first. It is read once: behind it the same bytes are the client's, and so are
 * those on a descriptor that was taken back from HTTP. A connection that breaks the rules is closed without
 * an answer: its peer is a proxy and could not read one.
 */
export class Preface extends State {
  readonly #mode: ProxyProtocol;
  readonly #maxHeaderBytes: number;
  readonly #table: ConnectionTable;
  readonly #counters: Counters;
  readonly #inboundBuffer: InboundBuffer;
  readonly #trustedProxies: TrustedProxies;
  readonly #next: PrefaceParts['next'];

  constructor(parts: PrefaceParts) {
    super(parts.rows);
    this.#mode = parts.config.proxyProtocol;
    this.#maxHeaderBytes = parts.config.maxRequestHeadBytes;
    this.#table = parts.table;
    this.#counters = parts.counters;
    this.#inboundBuffer = parts.inboundBuffer;
    this.#trustedProxies = parts.trustedProxies;
    this.#next = parts.next;
  }

  /** A row was adopted. False when its peer may not connect, and the row has ended. */
  begin(slot: number): boolean {
    const table = this.#table;
    this.rows.enter(slot, this.#next.state);
    if (this.#mode === 'off') return true;
    if (this.#trustedProxies.isTrusted(table.addresses, table.addressOffset(slot))) {
      this.rows.enter(slot, RowState.preface);
      return true;
    }
    if (this.#mode === 'optional') return true;
    this.#end(slot, 'refused_not_proxied');
    return false;
  }

  receive(slot: number, bytes: Buffer, start: number, end: number): void {
    const table = this.#table;
    const inboundBuffer = this.#inboundBuffer;
    const stored = inboundBuffer.length(slot);
    const required = inboundBuffer.required(slot);
    if (stored > 0 && stored + end - start < required) {
      this.#keep(slot, bytes, start, end, required);
      return;
    }
    let source = bytes;
    let from = start;
    let to = end;
    if (stored > 0) {
      source = inboundBuffer.take(slot, bytes, start, end);
      from = 0;
      to = source.length;
    }
    const result = readProxyHeader(source, from, to, this.#maxHeaderBytes);
    switch (result.kind) {
      case 'incomplete':
        this.#keep(slot, source, from, to, result.requiredBytes);
        return;
      case 'malformed':
        this.#end(slot, 'refused_proxy_header');
        return;
      case 'absent':
        if (this.#mode === 'required') this.#end(slot, 'refused_proxy_header');
        else this.#proceed(slot, source, from, to);
        return;
      default:
        if (result.address !== undefined) {
          table.setAddress(slot, result.address);
          table.setFlag(slot, RowFlag.proxied);
        }
        this.#proceed(slot, source, from + result.headerBytes, to);
    }
  }

  onTimeout(slot: number): void {
    this.#end(slot, 'refused_handshake_timeout');
  }

  /** The one way from here to what comes next. */
  #proceed(slot: number, bytes: Buffer, start: number, end: number): void {
    this.rows.enter(slot, this.#next.state);
    if (start < end) this.#next.part.receive(slot, bytes, start, end);
  }

  #keep(slot: number, bytes: Buffer, start: number, end: number, requiredBytes: number): void {
    const inboundBuffer = this.#inboundBuffer;
    if (inboundBuffer.append(slot, bytes, start, end)) inboundBuffer.setRequired(slot, requiredBytes);
    else this.#end(slot, 'refused_inbound_bytes');
  }

  #end(slot: number, counter: CounterName): void {
    this.#counters.add(counter);
    this.rows.end(slot, CloseCode.abnormal, '');
  }
}
