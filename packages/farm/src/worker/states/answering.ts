import { refusalResponse, Upgrader, type RequestHead, type UpgradeResult } from '@roost/websocket';
import type { Acceptance, Rejection } from '../../api/app.ts';
import type { Counters } from '../../api/counters.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { AppHost, Decided } from '../app/app-host.ts';
import type { Subscriptions } from '../fan-out/subscriptions.ts';
import type { Users } from '../fan-out/users.ts';
import type { Outbound } from '../outbound/outbound.ts';
import type { Attachments } from '../rows/attachments.ts';
import type { Clock } from '../rows/clock.ts';
import { RowFlag, RowState, type ConnectionTable } from '../rows/connection-table.ts';
import type { Deadlines } from '../rows/deadlines.ts';
import type { Rows } from '../rows/rows.ts';
import type { Sessions } from '../rows/sessions.ts';
import type { Timeouts } from '../rows/timeouts.ts';
import type { PlainHandshakes } from './plain-handshakes.ts';
import { badChannels, REFUSALS } from './refusals.ts';
import type { Refusing } from './refusing.ts';

export interface AnsweringParts {
  readonly config: Pick<FarmConfig, 'maxMessageBytes' | 'compression'>;
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly timeouts: Timeouts;
  readonly attachments: Attachments;
  readonly deadlines: Deadlines;
  readonly sessions: Sessions;
  readonly users: Users;
  readonly subscriptions: Pick<Subscriptions, 'problem' | 'join' | 'markGap'>;
  readonly outbound: Pick<Outbound, 'sendHead'>;
  readonly apps: Pick<AppHost, 'lanes' | 'open' | 'report'>;
  readonly plainHandshakes: Pick<PlainHandshakes, 'responseTo'>;
  readonly refusing: Refusing;
}

/**
 * The answer to an upgrade on which the apps have decided: a refusal, or the 101 and an open row. The 101 is sent in the
 * same tick in which the hub gets the connection's channels: a client that has the 101 misses nothing from then on.
 */
export class Answering {
  readonly #table: AnsweringParts['table'];
  readonly #rows: AnsweringParts['rows'];
  readonly #clock: AnsweringParts['clock'];
  readonly #counters: AnsweringParts['counters'];
  readonly #timeouts: AnsweringParts['timeouts'];
  readonly #attachments: AnsweringParts['attachments'];
  readonly #deadlines: AnsweringParts['deadlines'];
  readonly #sessions: AnsweringParts['sessions'];
  readonly #users: AnsweringParts['users'];
  readonly #subscriptions: AnsweringParts['subscriptions'];
  readonly #outbound: AnsweringParts['outbound'];
  readonly #apps: AnsweringParts['apps'];
  readonly #plainHandshakes: AnsweringParts['plainHandshakes'];
  readonly #refusing: AnsweringParts['refusing'];
  readonly #upgrader: Upgrader;

  constructor(parts: AnsweringParts) {
    const { maxMessageBytes, compression } = parts.config;
    this.#table = parts.table;
    this.#rows = parts.rows;
    this.#clock = parts.clock;
    this.#counters = parts.counters;
    this.#timeouts = parts.timeouts;
    this.#attachments = parts.attachments;
    this.#deadlines = parts.deadlines;
    this.#sessions = parts.sessions;
    this.#users = parts.users;
    this.#subscriptions = parts.subscriptions;
    this.#outbound = parts.outbound;
    this.#apps = parts.apps;
    this.#plainHandshakes = parts.plainHandshakes;
    this.#refusing = parts.refusing;
    this.#upgrader = new Upgrader({ maxMessageBytes, compression });
  }

  /** The head asks for an upgrade, but is not an opening handshake of WebSocket. */
  refuseHead(slot: number, head: RequestHead): void {
    this.#refusing.refuseWith(slot, this.#upgrader.upgrade(head).response, 'refused_bad_request');
  }

  /**
   * Answers the client. True when it is a connection now, which the open hook may have begun to close. `hasGap`:
   * publications to its channels may have been missed.
   */
  answer(slot: number, head: RequestHead, { decision, app }: Decided, { hasGap = false } = {}): boolean {
    if (decision === undefined) {
      this.#refusing.refuse(slot, REFUSALS.noApp);
      return false;
    }
    if (decision.kind === 'reject') {
      this.#reject(slot, decision);
      return false;
    }
    const problem = this.#subscriptions.problem(decision.channels ?? []);
    if (problem !== undefined) {
      this.#refusing.refuse(slot, badChannels(problem));
      return false;
    }
    const { protocol, headers } = decision;
    // What the client may choose from was not read: a protocol of the application's is ignored, as by the upgrader.
    const response = headers === undefined ? this.#plainHandshakes.responseTo(head) : undefined;
    if (response !== undefined) {
      this.#open(slot, app, decision, response, hasGap);
      return this.#isConnection(slot);
    }
    let answer: UpgradeResult;
    try {
      answer = this.#upgrader.upgrade(head, { protocol, headers });
    } catch (error) {
      // A header of the application's that cannot be sent.
      this.appFailed(slot, error);
      return false;
    }
    if (!answer.accepted) {
      this.#refusing.refuseWith(slot, answer.response, 'refused_bad_request');
      return false;
    }
    if (answer.isDeflated) {
      this.#table.setFlag(slot, RowFlag.deflate);
      this.#counters.add('upgrades_compressed');
    }
    this.#open(slot, app, decision, answer.response, hasGap);
    return this.#isConnection(slot);
  }

  /** The upgrade hook has thrown, or answered with something that cannot be sent. */
  appFailed(slot: number, error: unknown): void {
    this.#apps.report('upgrade', error);
    this.#refusing.refuse(slot, REFUSALS.appFailed);
  }

  #reject(slot: number, { status, reason, headers }: Rejection): void {
    let response: string;
    try {
      response = refusalResponse(status, reason, headers);
    } catch (error) {
      // A header of the application's that cannot be sent.
      this.appFailed(slot, error);
      return;
    }
    this.#refusing.refuseWith(slot, response, 'refused_by_app');
  }

  /** The open hook may have begun to close it, or have ended it. */
  #isConnection(slot: number): boolean {
    const state = this.#table.state(slot);
    return state === RowState.open || state === RowState.closing;
  }

  #open(slot: number, app: number, decision: Acceptance, response: Buffer | string, hasGap: boolean): void {
    this.#timeouts.clear(slot);
    this.#rows.enter(slot, RowState.open);
    this.#table.apps[slot] = app;
    this.#table.setLane(slot, this.#apps.lanes.ofApp(app));
    this.#table.lastSeen[slot] = this.#clock.now;
    this.#table.setFlag(slot, RowFlag.open | RowFlag.sendable | RowFlag.opened);
    if (decision.attachment !== undefined) this.#attachments.set(slot, decision.attachment);
    if (decision.expiresAt !== undefined) this.#deadlines.set(slot, decision.expiresAt);
    if (decision.session !== undefined) this.#sessions.set(slot, decision.session);
    if (decision.user !== undefined) this.#users.set(slot, decision.user);
    this.#outbound.sendHead(slot, response);
    this.#subscriptions.join(slot, decision.channels ?? []);
    if (hasGap) this.#subscriptions.markGap(slot);
    this.#counters.add('upgrades');
    this.#apps.open(slot);
  }
}
