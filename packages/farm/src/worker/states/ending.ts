import { CloseCode } from '../../api/close-codes.ts';
import type { Counters } from '../../api/counters.ts';
import type { Subscriptions } from '../fan-out/subscriptions.ts';
import type { Outbound } from '../outbound/outbound.ts';
import { RowFlag, RowState, Transport, type ConnectionTable } from '../rows/connection-table.ts';
import type { InboundBuffer } from '../rows/inbound-buffer.ts';
import type { RowOwner } from '../rows/row-owner.ts';
import type { Rows } from '../rows/rows.ts';
import { TimeoutKind, type Timeouts } from '../rows/timeouts.ts';

export interface EndingParts {
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly counters: Counters;
  readonly timeouts: Timeouts;
  readonly inboundBuffer: Pick<InboundBuffer, 'release'>;
  readonly subscriptions: Pick<Subscriptions, 'leave'>;
  readonly outbound: Pick<Outbound, 'finish'>;
}

interface Outcome {
  readonly code: number;
  readonly reason: string;
}

const ABNORMAL: Outcome = { code: CloseCode.abnormal, reason: '' };

/**
 * Rows that end as soon as what waits for their clients is sent; nothing that the clients still say matters. A client that
 * has sent FIN may still read (RFC 9293 §3.6.1), so it gets what waits for it, within `closeTimeoutMs`.
 */
export class Ending implements RowOwner {
  readonly #table: ConnectionTable;
  readonly #rows: Rows;
  readonly #counters: Counters;
  readonly #timeouts: Timeouts;
  readonly #inboundBuffer: EndingParts['inboundBuffer'];
  readonly #subscriptions: EndingParts['subscriptions'];
  readonly #outbound: EndingParts['outbound'];
  /** What their close hooks will be told. */
  readonly #outcomes = new Map<number, Outcome>();

  constructor({ table, rows, counters, timeouts, inboundBuffer, subscriptions, outbound }: EndingParts) {
    this.#table = table;
    this.#rows = rows;
    this.#counters = counters;
    this.#timeouts = timeouts;
    this.#inboundBuffer = inboundBuffer;
    this.#subscriptions = subscriptions;
    this.#outbound = outbound;
  }

  /** Whether the row only waits for its queue to be empty. */
  isEnding(slot: number): boolean {
    return this.#outcomes.has(slot);
  }

  /** Close frames have gone both ways: the server ends the TCP connection (RFC 6455 §7.1.1), after what it still owes. */
  afterCloseFrames(slot: number, code: number, reason: string): void {
    const isNative = this.#table.transports[slot] === Transport.native;
    if (isNative && !this.#table.hasFlag(slot, RowFlag.queued)) {
      this.#rows.end(slot, code, reason);
      return;
    }
    this.#outcomes.set(slot, { code, reason });
    // What a stream still holds would end with it; and TLS sends its close_notify.
    if (!isNative) this.#outbound.finish(slot);
  }

  /** The client will say nothing more: what waits is sent within `closeTimeoutMs`. */
  afterPeerEnd(slot: number, code: number, reason: string): void {
    const table = this.#table;
    if (!table.hasFlag(slot, RowFlag.queued)) {
      this.#rows.end(slot, code, reason);
      return;
    }
    this.#subscriptions.leave(slot);
    this.#inboundBuffer.release(slot);
    if (table.hasFlag(slot, RowFlag.opened)) this.#rows.enter(slot, RowState.closing);
    if (this.#timeouts.kind(slot) !== TimeoutKind.closing) this.#timeouts.set(slot, TimeoutKind.closing);
    this.#outcomes.set(slot, { code, reason });
  }

  /** As {@link afterPeerEnd}, with the outcome that is known already, or 1006. */
  onPeerEnd(slot: number): void {
    const { code, reason } = this.#outcomes.get(slot) ?? ABNORMAL;
    this.afterPeerEnd(slot, code, reason);
  }

  /** The row has nothing more to send. */
  onFlushed(slot: number): void {
    const outcome = this.#outcomes.get(slot);
    if (outcome !== undefined) this.#rows.end(slot, outcome.code, outcome.reason);
  }

  /** Ends the row at once, with the outcome that is known already, or 1006. */
  abort(slot: number): void {
    const { code, reason } = this.#outcomes.get(slot) ?? ABNORMAL;
    this.#rows.end(slot, code, reason);
  }

  /** `closeTimeoutMs` has passed: as {@link abort}, and counted. */
  timedOut(slot: number): void {
    this.#counters.add('close_timeouts');
    this.abort(slot);
  }

  release(slot: number): void {
    this.#outcomes.delete(slot);
  }
}
