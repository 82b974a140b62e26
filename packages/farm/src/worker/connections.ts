import type { Opcode } from '@roost/websocket';
import { CloseCode } from '../api/close-codes.ts';
import type { Connection } from '../api/connection.ts';
import type { Counters } from '../api/counters.ts';
import type { AppHost } from './app/app-host.ts';
import { ClosedConnection } from './app/closed-connection.ts';
import type { ConnectionPort } from './app/connection-port.ts';
import type { Subscriptions } from './fan-out/subscriptions.ts';
import type { Outbound } from './outbound/outbound.ts';
import type { Attachments } from './rows/attachments.ts';
import { RowFlag, RowState, type ConnectionTable } from './rows/connection-table.ts';
import type { Deadlines } from './rows/deadlines.ts';
import type { EndedRow, RowHandlers, Rows } from './rows/rows.ts';
import type { Awake } from './states/awake.ts';
import type { Closing } from './states/closing.ts';

export interface ConnectionsParts {
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly counters: Counters;
  readonly attachments: Attachments;
  readonly deadlines: Deadlines;
  readonly subscriptions: Subscriptions;
  readonly outbound: Outbound;
  readonly apps: AppHost;
  readonly awake: Awake;
  readonly closing: Closing;
}

/** What can be done with a connection, whatever its state: the port of the applications' connections, and their ends. */
export class Connections implements ConnectionPort, RowHandlers {
  readonly #table: ConnectionTable;
  readonly #rows: Rows;
  readonly #counters: Counters;
  readonly #attachments: Attachments;
  readonly #deadlines: Deadlines;
  readonly #subscriptions: Subscriptions;
  readonly #outbound: Outbound;
  readonly #apps: AppHost;
  readonly #awake: Awake;
  readonly #closing: Closing;

  constructor(parts: ConnectionsParts) {
    this.#table = parts.table;
    this.#rows = parts.rows;
    this.#counters = parts.counters;
    this.#attachments = parts.attachments;
    this.#deadlines = parts.deadlines;
    this.#subscriptions = parts.subscriptions;
    this.#outbound = parts.outbound;
    this.#apps = parts.apps;
    this.#awake = parts.awake;
    this.#closing = parts.closing;
  }

  /** Begins the closing handshake. False when the connection is not open (any more). */
  close(slot: number, code: number, reason: string): boolean {
    const state = this.#table.state(slot);
    if (state === RowState.awake ? !this.#awake.leave(slot) : state !== RowState.open) return false;
    this.#closing.begin(slot, code, reason);
    return true;
  }

  terminate(slot: number): void {
    this.#rows.end(slot, CloseCode.abnormal, '');
  }

  isCurrent(slot: number, generation: number): boolean {
    return this.#table.isCurrent(slot, generation);
  }

  isOpen(slot: number): boolean {
    return this.#table.isOpen(slot);
  }

  send(slot: number, opcode: Opcode, data: string | Uint8Array): boolean {
    const isTaken = this.#outbound.send(slot, opcode, data);
    if (isTaken) this.#counters.messagesSent++;
    return isTaken;
  }

  number(slot: number): number {
    return this.#table.numbers[slot] ?? 0;
  }

  remoteAddress(slot: number): string {
    return this.#table.address(slot);
  }

  attachment(slot: number): unknown {
    return this.#attachments.get(slot);
  }

  setAttachment(slot: number, attachment: unknown): void {
    this.#attachments.set(slot, attachment);
  }

  expiresAt(slot: number): number | undefined {
    return this.#deadlines.get(slot);
  }

  setExpiresAt(slot: number, expiresAt: number | undefined): void {
    this.#deadlines.set(slot, expiresAt);
  }

  bufferedBytes(slot: number): number {
    return this.#outbound.bufferedBytes(slot);
  }

  hasGap(slot: number): boolean {
    return this.#table.hasFlag(slot, RowFlag.gap);
  }

  channels(slot: number): readonly string[] {
    return this.#subscriptions.channelsOf(slot);
  }

  subscribe(slot: number, channel: string): Promise<boolean> {
    return this.#subscriptions.subscribe(slot, channel);
  }

  unsubscribe(slot: number, channel: string): boolean {
    return this.#subscriptions.unsubscribe(slot, channel);
  }

  publish(channel: string, data: string | Uint8Array): Promise<void> {
    return this.#subscriptions.publish(channel, data);
  }

  rowOnEnding(slot: number): EndedRow | undefined {
    const app = this.#table.apps[slot] ?? 0;
    if (!this.#apps.hasCloseHook(app)) return undefined;
    const connection: Connection = this.#apps.connection(slot);
    return { app, connection: new ClosedConnection(connection, this.#subscriptions.lastChannelsOf(slot)) };
  }

  rowOnEnd({ app, connection }: EndedRow, code: number, reason: string): void {
    this.#apps.closed(app, connection, code, reason);
  }
}
