import { Interest } from '@roost/poller';
import { refusalResponse } from '@roost/websocket';
import type { CounterName, Counters } from '../../api/counters.ts';
import type { Outbound } from '../outbound/outbound.ts';
import { RowState, type ConnectionTable } from '../rows/connection-table.ts';
import type { InboundBuffer } from '../rows/inbound-buffer.ts';
import type { Rows } from '../rows/rows.ts';
import { TimeoutKind, type Timeouts } from '../rows/timeouts.ts';
import type { Sockets } from '../sockets/sockets.ts';
import type { Ending } from './ending.ts';
import type { Refusal } from './refusals.ts';
import { State } from './state.ts';

export interface RefusingParts {
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly counters: Counters;
  readonly timeouts: Timeouts;
  readonly inboundBuffer: Pick<InboundBuffer, 'release'>;
  readonly sockets: Pick<Sockets, 'setInterest'>;
  readonly outbound: Pick<Outbound, 'sendHead' | 'finish'>;
  readonly ending: Ending;
}

/** A request head is answered with an HTTP error and FIN; what the client still says is discarded, and its FIN is awaited. */
export class Refusing extends State {
  readonly #table: ConnectionTable;
  readonly #counters: Counters;
  readonly #timeouts: Timeouts;
  readonly #inboundBuffer: RefusingParts['inboundBuffer'];
  readonly #sockets: RefusingParts['sockets'];
  readonly #outbound: RefusingParts['outbound'];
  readonly #ending: Ending;

  constructor(parts: RefusingParts) {
    super(parts.rows);
    this.#table = parts.table;
    this.#counters = parts.counters;
    this.#timeouts = parts.timeouts;
    this.#inboundBuffer = parts.inboundBuffer;
    this.#sockets = parts.sockets;
    this.#outbound = parts.outbound;
    this.#ending = parts.ending;
  }

  refuse(slot: number, { status, reason, counter, retryAfterSeconds }: Refusal): void {
    const headers =
      retryAfterSeconds === undefined ? undefined : { 'Retry-After': String(retryAfterSeconds) };
    this.refuseWith(slot, refusalResponse(status, reason, headers), counter);
  }

  /** As {@link refuse}, with the whole response. */
  refuseWith(slot: number, response: string, counter: CounterName): void {
    this.#counters.add(counter);
    // An upgrade that is refused after all was paused; from now on FIN is of interest.
    if (this.#table.state(slot) === RowState.upgrading) this.#sockets.setInterest(slot, Interest.readable);
    this.#inboundBuffer.release(slot);
    this.rows.enter(slot, RowState.refusing);
    this.#timeouts.set(slot, TimeoutKind.closing);
    this.#outbound.sendHead(slot, response);
    this.#outbound.finish(slot);
  }

  receive(): void {
    // Discarded.
  }

  override onPeerEnd(slot: number): void {
    this.#ending.onPeerEnd(slot);
  }

  onTimeout(slot: number): void {
    this.#ending.timedOut(slot);
  }
}
