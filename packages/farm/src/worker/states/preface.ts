import { CloseCode } from '../../api/close-codes.ts';
import type { CounterName } from '../../api/counters.ts';
import type { ProxyProtocol } from '../../options/options.ts';
import { RowFlag, RowState } from '../rows/connection-table.ts';
import type { Core } from '../core.ts';
import { readProxyHeader } from './proxy-header.ts';
import { received } from './by-state.ts';

/**
 * What a proxy says before the client's first byte: the header of the PROXY protocol.
 *
 * It stands in front of everything else. A row whose peer may send one begins in state preface instead of handshake
 * (with TLS: securing), within the same `handshakeTimeoutMs`; when the header has been read the row has the client's address, and whatever
 * came behind goes on as if it had come first. It is read once: behind it the same bytes are the client's, and so are
 * those on a descriptor that was taken back from HTTP. Who breaks the rules is ended without an answer, for it is a
 * proxy that would have to understand it.
 */
export class Preface {
  readonly #core: Core;
  readonly #mode: ProxyProtocol;

  constructor(core: Core) {
    this.#core = core;
    this.#mode = core.config.proxyProtocol;
  }

  /** A row was adopted. False when its peer may not connect, and the row has ended. */
  begin(slot: number): boolean {
    const { table, trustedProxies } = this.#core;
    table.states[slot] = this.#next;
    if (this.#mode === 'off') return true;
    if (trustedProxies.isTrusted(table.addresses, table.addressOffset(slot))) {
      table.states[slot] = RowState.preface;
      return true;
    }
    if (this.#mode === 'optional') return true;
    this.#end(slot, 'refused_not_proxied');
    return false;
  }

  /** Bytes of a row in state preface. */
  receive(slot: number, bytes: Buffer, start: number, end: number): void {
    const { inboundBuffer, config, table } = this.#core;
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
    const result = readProxyHeader(source, from, to, config.maxRequestHeadBytes);
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

  /** The one way from here to what comes next. */
  #proceed(slot: number, bytes: Buffer, start: number, end: number): void {
    this.#core.table.states[slot] = this.#next;
    if (start < end) received(this.#core, slot, bytes, start, end);
  }

  /** What stands behind a preface, or comes first where there is none. */
  get #next(): number {
    return this.#core.tls === undefined ? RowState.handshake : RowState.securing;
  }

  #keep(slot: number, bytes: Buffer, start: number, end: number, requiredBytes: number): void {
    const { inboundBuffer } = this.#core;
    if (inboundBuffer.append(slot, bytes, start, end)) inboundBuffer.setRequired(slot, requiredBytes);
    else this.#end(slot, 'refused_inbound_bytes');
  }

  #end(slot: number, counter: CounterName): void {
    this.#core.counters.add(counter);
    this.#core.lifecycle.finish(slot, CloseCode.abnormal, '');
  }
}
