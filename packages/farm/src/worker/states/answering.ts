import { refusalResponse, Upgrader, type RequestHead, type UpgradeResult } from '@roost/websocket';
import type { Acceptance, Rejection } from '../../api/app.ts';
import type { Counters } from '../../api/counters.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { AppHost, Decided } from '../app/app-host.ts';
import type { Subscriptions } from '../fan-out/subscriptions.ts';
import type { Outbound } from '../outbound/outbound.ts';
import type { Attachments } from '../rows/attachments.ts';
import type { Clock } from '../rows/clock.ts';
import { RowFlag, RowState, type ConnectionTable } from '../rows/connection-table.ts';
import type { Deadlines } from '../rows/deadlines.ts';
import type { Rows } from '../rows/rows.ts';
import type { Timeouts } from '../rows/timeouts.ts';
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
  readonly subscriptions: Pick<Subscriptions, 'problem' | 'join' | 'markGap'>;
  readonly outbound: Pick<Outbound, 'sendHead'>;
  readonly apps: Pick<AppHost, 'open' | 'report'>;
  readonly refusing: Refusing;
}

/**
 * The answer to an upgrade on which the apps have decided: a refusal, or the 101 and an open row. The 101 is sent in the
 * same tick in which the hub gets the connection's channels: a client that has the 101 misses nothing from then on.
 */
export class Answering {
  readonly #parts: AnsweringParts;
  readonly #upgrader: Upgrader;

  constructor(parts: AnsweringParts) {
    const { maxMessageBytes, compression } = parts.config;
    this.#parts = parts;
    this.#upgrader = new Upgrader({ maxMessageBytes, compression });
  }

  /** The head asks for an upgrade, but is not an opening handshake of WebSocket. */
  refuseHead(slot: number, head: RequestHead): void {
    this.#parts.refusing.refuseWith(slot, this.#upgrader.upgrade(head).response, 'refused_bad_request');
  }

  /**
   * Answers the client. True when it is a connection now, which the open hook may have begun to close. `hasGap`:
   * publications to its channels may have been missed.
   */
  answer(slot: number, head: RequestHead, { decision, app }: Decided, { hasGap = false } = {}): boolean {
    const { refusing, subscriptions, table } = this.#parts;
    if (decision === undefined) {
      refusing.refuse(slot, REFUSALS.noApp);
      return false;
    }
    if (decision.kind === 'reject') {
      this.#reject(slot, decision);
      return false;
    }
    const problem = subscriptions.problem(decision.channels ?? []);
    if (problem !== undefined) {
      refusing.refuse(slot, badChannels(problem));
      return false;
    }
    let answer: UpgradeResult;
    try {
      answer = this.#upgrader.upgrade(head, { protocol: decision.protocol, headers: decision.headers });
    } catch (error) {
      // A header of the application's that cannot be sent.
      this.appFailed(slot, error);
      return false;
    }
    if (!answer.accepted) {
      refusing.refuseWith(slot, answer.response, 'refused_bad_request');
      return false;
    }
    this.#open(slot, app, decision, answer, hasGap);
    const state = table.state(slot);
    return state === RowState.open || state === RowState.closing;
  }

  /** The upgrade hook has thrown, or answered with something that cannot be sent. */
  appFailed(slot: number, error: unknown): void {
    this.#parts.apps.report('upgrade', error);
    this.#parts.refusing.refuse(slot, REFUSALS.appFailed);
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
    this.#parts.refusing.refuseWith(slot, response, 'refused_by_app');
  }

  #open(slot: number, app: number, decision: Acceptance, answer: UpgradeResult, hasGap: boolean): void {
    const { table, rows, clock, counters, timeouts, attachments, deadlines } = this.#parts;
    const { subscriptions, outbound, apps } = this.#parts;
    timeouts.clear(slot);
    rows.enter(slot, RowState.open);
    table.apps[slot] = app;
    table.lastSeen[slot] = clock.now;
    table.setFlag(slot, RowFlag.open | RowFlag.sendable | RowFlag.opened);
    if (answer.isDeflated) {
      table.setFlag(slot, RowFlag.deflate);
      counters.add('upgrades_compressed');
    }
    if (decision.attachment !== undefined) attachments.set(slot, decision.attachment);
    if (decision.expiresAt !== undefined) deadlines.set(slot, decision.expiresAt);
    outbound.sendHead(slot, answer.response);
    subscriptions.join(slot, decision.channels ?? []);
    if (hasGap) subscriptions.markGap(slot);
    counters.add('upgrades');
    apps.open(slot);
  }
}
