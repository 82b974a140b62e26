import { Interest } from '@roost/poller';
import { addressKeyHigh, addressKeyLow } from '../../addresses/address-table.ts';
import { CloseCode } from '../../api/close-codes.ts';
import type { Counters } from '../../api/counters.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { TrustedProxies } from '../../options/trusted-proxies.ts';
import { RowState, type ConnectionTable } from '../rows/connection-table.ts';
import { EMPTY } from '../rows/empty.ts';
import type { InboundBuffer } from '../rows/inbound-buffer.ts';
import type { RowOwner } from '../rows/row-owner.ts';
import type { Rows } from '../rows/rows.ts';
import type { TlsHandshakeHandlers, TlsStreams } from '../sockets/tls/tls-streams.ts';
import { REFUSALS } from './refusals.ts';
import type { Refusing } from './refusing.ts';
import { SecuringQueue, type SecuringStart } from './securing-queue.ts';
import { State } from './state.ts';

export interface SecuringParts {
  readonly config: Pick<FarmConfig, 'maxTlsHandshakes' | 'maxTlsHandshakesPerAddress'>;
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly counters: Counters;
  readonly inboundBuffer: InboundBuffer;
  readonly trustedProxies: TrustedProxies;
  readonly streams: TlsStreams;
  readonly refusing: Refusing;
}

/** A TLS record of a handshake, which a ClientHello begins (RFC 8446 §5.1). */
const HANDSHAKE_RECORD = 0x16;
/** Each costs a private-key operation, up to a millisecond: other events are handled in between. */
const STARTS_PER_TICK = 8;

/**
 * Rows of a port that speaks TLS, until their handshake is complete. A row's first bytes come from the poller, so that
 * sockets which say nothing cost nothing more than elsewhere. A ClientHello waits in line, paused: at most
 * `maxTlsHandshakes` are under way, at most `maxTlsHandshakesPerAddress` of them for one address, and addresses are served
 * round robin. Then a Node stream gets the descriptor, and the row goes on in state handshake as if the decrypted bytes had
 * come from the poller.
 */
export class Securing extends State implements TlsHandshakeHandlers, RowOwner {
  readonly #config: SecuringParts['config'];
  readonly #table: ConnectionTable;
  readonly #counters: Counters;
  readonly #inboundBuffer: InboundBuffer;
  readonly #trustedProxies: TrustedProxies;
  readonly #streams: TlsStreams;
  readonly #refusing: Refusing;
  /** Rows whose ClientHello has come, and owners of the handshakes under way. */
  readonly #queue = new SecuringQueue();
  #underWay = 0;
  #isScheduled = false;

  constructor(parts: SecuringParts) {
    super(parts.rows);
    this.#config = parts.config;
    this.#table = parts.table;
    this.#counters = parts.counters;
    this.#inboundBuffer = parts.inboundBuffer;
    this.#trustedProxies = parts.trustedProxies;
    this.#streams = parts.streams;
    this.#refusing = parts.refusing;
  }

  receive(slot: number, bytes: Buffer, start: number, end: number): void {
    if (this.#inboundBuffer.length(slot) === 0 && bytes[start] !== HANDSHAKE_RECORD) {
      // Native as the row still is, it can be told in plain text.
      this.#refusing.refuse(slot, REFUSALS.notTls);
      return;
    }
    if (!this.#inboundBuffer.append(slot, bytes, start, end)) {
      this.#counters.add('refused_inbound_bytes');
      this.onLost(slot);
      return;
    }
    this.#streams.setInterest(slot, Interest.paused);
    if (!this.#queue.add(slot, this.#ownerOf(slot), this.#maxUnderWayOf(slot))) {
      this.#counters.add('tls_handshakes_held_back');
    }
    this.#schedule();
  }

  /** It has left while its ClientHello waited in line. */
  override onHalfClose(slot: number): void {
    this.onLost(slot);
  }

  onTimeout(slot: number): void {
    this.#counters.add('refused_handshake_timeout');
    this.rows.end(slot, CloseCode.abnormal, '');
  }

  tlsOnSecured(slot: number): void {
    this.rows.enter(slot, RowState.handshake);
  }

  tlsOnHandshakeEnd(owner: string): void {
    this.#underWay--;
    this.#queue.ended(owner);
    this.#schedule();
  }

  release(slot: number): void {
    this.#queue.remove(slot);
  }

  #schedule(): void {
    const { maxTlsHandshakes } = this.#config;
    if (this.#isScheduled || !this.#queue.hasNext || this.#underWay >= maxTlsHandshakes) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      let room = Math.min(STARTS_PER_TICK, maxTlsHandshakes - this.#underWay);
      while (room-- > 0) {
        const start = this.#queue.next();
        if (start === undefined) break;
        this.#start(start);
      }
      this.#schedule();
    });
  }

  #start({ slot, owner }: SecuringStart): void {
    const hello = this.#inboundBuffer.take(slot, EMPTY, 0, 0);
    this.#underWay++;
    this.#streams.secure(slot, hello, owner);
  }

  /** For whom the handshake of a row counts: IPv6 addresses by their /64, as everywhere. */
  #ownerOf(slot: number): string {
    const table = this.#table;
    const offset = table.addressOffset(slot);
    return `${addressKeyHigh(table.addresses, offset)}:${addressKeyLow(table.addresses, offset)}`;
  }

  /** Trusted proxies come for many clients, whom only the request will name. */
  #maxUnderWayOf(slot: number): number {
    const table = this.#table;
    const isProxy = this.#trustedProxies.isTrusted(table.addresses, table.addressOffset(slot));
    const { maxTlsHandshakesPerAddress: max } = this.#config;
    return max === 0 || isProxy ? Number.POSITIVE_INFINITY : max;
  }
}
