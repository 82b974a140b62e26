import type { AppHost } from './app/app-host.ts';
import type { OutboundHandlers, Outbound } from './outbound/outbound.ts';
import type { Clock } from './rows/clock.ts';
import { RowState, type ConnectionTable } from './rows/connection-table.ts';
import { CloseCode } from '../api/close-codes.ts';
import type { Rows } from './rows/rows.ts';
import { TimeoutKind, type TimeoutHandlers, type Timeouts } from './rows/timeouts.ts';
import type { SocketHandlers } from './sockets/socket-handlers.ts';
import type { Connections } from './connections.ts';
import type { Ending } from './states/ending.ts';
import type { Preface } from './states/preface.ts';
import type { State } from './states/state.ts';

export interface RowEventsParts {
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly clock: Clock;
  readonly timeouts: Timeouts;
  readonly outbound: Outbound;
  readonly apps: Pick<AppHost, 'writable'>;
  readonly preface: Preface;
  /** By RowState. */
  readonly states: readonly State[];
  readonly ending: Ending;
  readonly connections: Connections;
}

/** States in which a row waits for a whole request head. */
const BEFORE_THE_HEAD: ReadonlySet<number> = new Set([
  RowState.preface,
  RowState.securing,
  RowState.handshake,
]);

/** What happens to rows, given to the part that each row's state asks for. */
export class RowEvents implements SocketHandlers, TimeoutHandlers, OutboundHandlers {
  readonly #table: ConnectionTable;
  readonly #rows: Rows;
  readonly #clock: Clock;
  readonly #timeouts: Timeouts;
  readonly #outbound: Outbound;
  readonly #apps: Pick<AppHost, 'writable'>;
  readonly #preface: Preface;
  readonly #states: readonly State[];
  readonly #ending: Ending;
  readonly #connections: Connections;

  constructor(parts: RowEventsParts) {
    this.#table = parts.table;
    this.#rows = parts.rows;
    this.#clock = parts.clock;
    this.#timeouts = parts.timeouts;
    this.#outbound = parts.outbound;
    this.#apps = parts.apps;
    this.#preface = parts.preface;
    this.#states = parts.states;
    this.#ending = parts.ending;
    this.#connections = parts.connections;
  }

  socketOnNew(slot: number): boolean {
    return this.#preface.begin(slot);
  }

  /** Most are connections by now, and need no timeout for the handshake that they have behind them. */
  socketOnAdopted(slot: number): void {
    if (!BEFORE_THE_HEAD.has(this.#table.state(slot))) return;
    if (this.#timeouts.kind(slot) === TimeoutKind.none) this.#timeouts.set(slot, TimeoutKind.handshake);
  }

  socketOnBytes(slot: number, bytes: Buffer, start: number, end: number): void {
    this.#table.heard(slot, this.#clock.now);
    this.#states[this.#table.state(slot)]?.receive(slot, bytes, start, end);
  }

  socketOnWritable(slot: number): void {
    this.#outbound.flush(slot);
  }

  socketOnHalfClose(slot: number): void {
    this.#states[this.#table.state(slot)]?.onHalfClose(slot);
  }

  socketOnPeerEnd(slot: number): void {
    this.#states[this.#table.state(slot)]?.onPeerEnd(slot);
  }

  socketOnLost(slot: number): void {
    this.#states[this.#table.state(slot)]?.onLost(slot);
  }

  socketOnFlushed(slot: number): void {
    this.#ending.onFlushed(slot);
  }

  timeoutOnExpired(slot: number, kind: number): void {
    this.#states[this.#table.state(slot)]?.onTimeout(slot, kind);
  }

  outboundOnEmpty(slot: number): void {
    if (this.#table.isOpen(slot)) this.#apps.writable(slot);
    else this.#ending.onFlushed(slot);
  }

  outboundOnSlow(slot: number, reason: string): void {
    this.#connections.closeOwn(slot, CloseCode.slowConsumer, reason);
  }

  outboundOnNoRoom(slot: number): void {
    this.#rows.endDuringSend(slot, CloseCode.abnormal, '');
  }
}
