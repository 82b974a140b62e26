import type { Opcode } from '@roost/websocket';
import type { PublishOptions } from '../api/channel-publication.ts';
import { CloseCode } from '../api/close-codes.ts';
import type { Connection } from '../api/connection.ts';
import type { Counters } from '../api/counters.ts';
import type { AppHost } from './app/app-host.ts';
import { ClosedConnection } from './app/closed-connection.ts';
import type { ConnectionPort } from './app/connection-port.ts';
import type { JoinOutcome, JoinRequest } from '../api/presence.ts';
import type { Joins } from './fan-out/joins.ts';
import type { Memberships } from './fan-out/memberships.ts';
import type { Subscriptions } from './fan-out/subscriptions.ts';
import type { Users } from './fan-out/users.ts';
import type { Outbound } from './outbound/outbound.ts';
import type { Attachments } from './rows/attachments.ts';
import type { ConnectionIds } from './rows/connection-ids.ts';
import { RowFlag, RowState, type ConnectionTable } from './rows/connection-table.ts';
import type { Deadlines } from './rows/deadlines.ts';
import type { EndedRow, RowHandlers, Rows } from './rows/rows.ts';
import type { Sessions } from './rows/sessions.ts';
import type { Awake } from './states/awake.ts';
import type { Closing } from './states/closing.ts';
import type { Leaving } from './states/leaving.ts';

export interface ConnectionsParts {
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly counters: Counters;
  readonly ids: ConnectionIds;
  readonly attachments: Attachments;
  readonly deadlines: Deadlines;
  readonly sessions: Sessions;
  readonly users: Users;
  readonly subscriptions: Subscriptions;
  readonly memberships: Memberships;
  readonly joins: Joins;
  readonly outbound: Outbound;
  readonly apps: AppHost;
  readonly awake: Awake;
  readonly closing: Closing;
  readonly leaving: Leaving;
}

/** What can be done with a connection, whatever its state: the port of the applications' connections, and their ends. */
export class Connections implements ConnectionPort, RowHandlers {
  readonly #table: ConnectionTable;
  readonly #rows: Rows;
  readonly #counters: Counters;
  readonly #ids: ConnectionIds;
  readonly #attachments: Attachments;
  readonly #deadlines: Deadlines;
  readonly #sessions: Sessions;
  readonly #users: Users;
  readonly #subscriptions: Subscriptions;
  readonly #memberships: Memberships;
  readonly #joins: Joins;
  readonly #outbound: Outbound;
  readonly #apps: AppHost;
  readonly #awake: Awake;
  readonly #closing: Closing;
  readonly #leaving: Leaving;

  constructor(parts: ConnectionsParts) {
    this.#table = parts.table;
    this.#rows = parts.rows;
    this.#counters = parts.counters;
    this.#ids = parts.ids;
    this.#attachments = parts.attachments;
    this.#deadlines = parts.deadlines;
    this.#sessions = parts.sessions;
    this.#users = parts.users;
    this.#subscriptions = parts.subscriptions;
    this.#memberships = parts.memberships;
    this.#joins = parts.joins;
    this.#outbound = parts.outbound;
    this.#apps = parts.apps;
    this.#awake = parts.awake;
    this.#closing = parts.closing;
    this.#leaving = parts.leaving;
  }

  /** Begins the closing handshake. False when the connection is not open (any more). */
  close(slot: number, code: number, reason: string): boolean {
    if (!this.#sleeps(slot)) return this.#leaving.close(slot, code, reason, false);
    this.#closing.begin(slot, code, reason);
    return true;
  }

  closeOwn(slot: number, code: number, reason: string): boolean {
    if (!this.#sleeps(slot)) return this.#leaving.close(slot, code, reason, true);
    this.#closing.beginOwn(slot, code, reason);
    return true;
  }

  terminate(slot: number): void {
    if (this.#leaving.has(slot)) this.#leaving.terminate(slot);
    else this.#rows.end(slot, CloseCode.abnormal, '');
  }

  isCurrent(slot: number, generation: number): boolean {
    return this.#table.isCurrent(slot, generation);
  }

  isOpen(slot: number): boolean {
    return this.#table.isOpen(slot) && !(this.#isLeaving(slot) && this.#leaving.isClosed(slot));
  }

  send(slot: number, opcode: Opcode, data: string | Uint8Array): boolean {
    // It counts where it is sent in the end.
    if (this.#isLeaving(slot)) return this.#leaving.send(slot, opcode, data);
    // What was said on its way may come behind the close frame.
    if (!this.#table.isOpen(slot)) return false;
    const isTaken = this.#outbound.send(slot, opcode, data);
    if (isTaken) this.#counters.messagesSent++;
    return isTaken;
  }

  sendFrame(slot: number, frame: Buffer): void {
    if (this.#outbound.sendChunk(slot, frame)) this.#counters.messagesSent++;
  }

  id(slot: number): string {
    return this.#ids.idOf(this.#table.numbers[slot] ?? 0);
  }

  remoteAddress(slot: number): string {
    return this.#table.address(slot);
  }

  attachment(slot: number): unknown {
    return this.#attachments.get(slot);
  }

  setAttachment(slot: number, attachment: unknown): void {
    this.#attachments.set(slot, attachment);
    if (this.#isLeaving(slot)) this.#leaving.changed(slot);
  }

  expiresAt(slot: number): number | undefined {
    return this.#deadlines.get(slot);
  }

  setExpiresAt(slot: number, expiresAt: number | undefined): void {
    this.#deadlines.set(slot, expiresAt);
    if (this.#isLeaving(slot)) this.#leaving.changed(slot);
  }

  session(slot: number): Uint8Array | undefined {
    return this.#sessions.get(slot);
  }

  setSession(slot: number, session: Uint8Array | undefined): void {
    this.#sessions.set(slot, session);
    if (this.#isLeaving(slot)) this.#leaving.changed(slot);
  }

  user(slot: number): string | undefined {
    return this.#users.userOf(slot);
  }

  setUser(slot: number, user: string | undefined): void {
    this.#users.set(slot, user);
    if (this.#isLeaving(slot)) this.#leaving.changed(slot);
  }

  bufferedBytes(slot: number): number {
    return this.#outbound.bufferedBytes(slot);
  }

  hasGap(slot: number): boolean {
    return this.#table.hasFlag(slot, RowFlag.gap);
  }

  isSubscribed(slot: number, channel: string): boolean {
    return this.#subscriptions.isSubscribed(slot, channel);
  }

  memberOf(slot: number, channel: string): string | undefined {
    return this.#memberships.userOf(slot, channel);
  }

  join(slot: number, request: JoinRequest): Promise<JoinOutcome> {
    return this.#isLeaving(slot) ? Promise.resolve('gone') : this.#joins.join(slot, request);
  }

  channels(slot: number): readonly string[] {
    return this.#subscriptions.channelsOf(slot);
  }

  subscribe(slot: number, channel: string): Promise<boolean> {
    return this.#isLeaving(slot) ? Promise.resolve(false) : this.#subscriptions.subscribe(slot, channel);
  }

  unsubscribe(slot: number, channel: string): boolean {
    return !this.#isLeaving(slot) && this.#subscriptions.unsubscribe(slot, channel);
  }

  publish(channel: string, data: string | Uint8Array, options?: PublishOptions): Promise<void> {
    return this.#subscriptions.publish(channel, data, options);
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

  #isLeaving(slot: number): boolean {
    return this.#table.state(slot) === RowState.leaving;
  }

  /** Whether the row is open, and no ws reads it any more. */
  #sleeps(slot: number): boolean {
    const state = this.#table.state(slot);
    return state === RowState.awake ? this.#awake.leave(slot) : state === RowState.open;
  }
}
