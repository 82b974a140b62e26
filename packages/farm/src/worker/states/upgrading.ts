import { Interest } from '@roost/poller';
import type { Counters } from '../../api/counters.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { HeadUpgradeRequest } from '../app/upgrade-request.ts';
import { EMPTY } from '../rows/empty.ts';
import { RowFlag, RowState, type ConnectionTable } from '../rows/connection-table.ts';
import type { InboundBuffer } from '../rows/inbound-buffer.ts';
import type { RowOwner } from '../rows/row-owner.ts';
import type { Rows } from '../rows/rows.ts';
import { TimeoutKind, type Timeouts } from '../rows/timeouts.ts';
import type { Sockets } from '../sockets/sockets.ts';
import { REFUSALS, type Refusal } from './refusals.ts';
import type { Refusing } from './refusing.ts';
import { State } from './state.ts';

export interface UpgradingParts {
  readonly config: Pick<FarmConfig, 'maxHandshakes'>;
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly counters: Counters;
  readonly timeouts: Timeouts;
  readonly inboundBuffer: InboundBuffer;
  readonly sockets: Pick<Sockets, 'setInterest'>;
  readonly refusing: Refusing;
  /** What an accepted row goes on in: open, or closing when the open hook has begun to close it. */
  readonly next: { readonly open: Pick<State, 'receive'>; readonly closing: Pick<State, 'receive'> };
}

/**
 * Upgrades that wait for the hook or the broker: paused, and counted against `maxHandshakes`. {@link Deciding} asks, and
 * ends the wait with an answer; a row that leaves earlier aborts the request's signal.
 */
export class Upgrading extends State implements RowOwner {
  readonly #maxHandshakes: number;
  readonly #table: ConnectionTable;
  readonly #counters: Counters;
  readonly #timeouts: Timeouts;
  readonly #inboundBuffer: InboundBuffer;
  readonly #sockets: UpgradingParts['sockets'];
  readonly #refusing: Refusing;
  readonly #next: UpgradingParts['next'];
  /** By slot. */
  readonly #pending = new Map<number, HeadUpgradeRequest>();

  constructor(parts: UpgradingParts) {
    super(parts.rows);
    this.#maxHandshakes = parts.config.maxHandshakes;
    this.#table = parts.table;
    this.#counters = parts.counters;
    this.#timeouts = parts.timeouts;
    this.#inboundBuffer = parts.inboundBuffer;
    this.#sockets = parts.sockets;
    this.#refusing = parts.refusing;
    this.#next = parts.next;
  }

  /** Begins the wait; `bytes` came behind the head. False when too many wait already, and the row is refused. */
  pause(slot: number, request: HeadUpgradeRequest, bytes: Buffer, start: number, end: number): boolean {
    if (this.#pending.size >= this.#maxHandshakes) {
      request.abort();
      this.#refusing.refuse(slot, REFUSALS.tooManyUpgrades);
      return false;
    }
    this.rows.enter(slot, RowState.upgrading);
    this.#sockets.setInterest(slot, Interest.paused);
    this.#timeouts.set(slot, TimeoutKind.upgrade);
    this.#pending.set(slot, request);
    this.receive(slot, bytes, start, end);
    return true;
  }

  /** Whether the row still waits for the answer to this request. */
  isPending(slot: number, generation: number, request: HeadUpgradeRequest): boolean {
    return this.#table.isCurrent(slot, generation) && this.#pending.get(slot) === request;
  }

  /** Ends the wait: the row is answered now. */
  settle(slot: number): void {
    this.#pending.delete(slot);
  }

  /** The row is a connection now: frames that came behind the head are read, then the socket again. */
  resume(slot: number): void {
    const table = this.#table;
    const inboundBuffer = this.#inboundBuffer;
    const generation = table.generation(slot);
    const isQueued = table.hasFlag(slot, RowFlag.queued);
    this.#sockets.setInterest(slot, isQueued ? Interest.readable | Interest.writable : Interest.readable);
    // A close has taken what was kept.
    if (table.state(slot) !== RowState.open || inboundBuffer.length(slot) === 0) return;
    const rest = inboundBuffer.take(slot, EMPTY, 0, 0);
    if (table.isCurrent(slot, generation)) this.#next.open.receive(slot, rest, 0, rest.length);
  }

  /**
   * Frames that came with the head of a row that never waited. Even when they are only discarded the client's close frame
   * is among them.
   */
  readRest(slot: number, bytes: Buffer, start: number, end: number): void {
    if (start >= end) return;
    const isClosing = this.#table.state(slot) === RowState.closing;
    (isClosing ? this.#next.closing : this.#next.open).receive(slot, bytes, start, end);
  }

  /** The row is paused: these bytes came in the batch in which it was. */
  receive(slot: number, bytes: Buffer, start: number, end: number): void {
    if (start === end || this.#inboundBuffer.append(slot, bytes, start, end)) return;
    this.#giveUp(slot, REFUSALS.noMemory);
  }

  /** The hook gets to know. Frames before the FIN are read if the hook lets the client in. */
  override onHalfClose(slot: number): void {
    this.#pending.get(slot)?.abort();
  }

  override onPeerEnd(slot: number): void {
    this.onLost(slot);
  }

  override onLost(slot: number): void {
    this.#counters.add('upgrades_abandoned');
    super.onLost(slot);
  }

  onTimeout(slot: number): void {
    this.#giveUp(slot, REFUSALS.upgradeTimeout);
  }

  /** The row leaves this state without an answer of the hook. */
  release(slot: number): void {
    const request = this.#pending.get(slot);
    if (request === undefined) return;
    this.#pending.delete(slot);
    request.abort();
  }

  #giveUp(slot: number, refusal: Refusal): void {
    this.release(slot);
    this.#refusing.refuse(slot, refusal);
  }
}
