import { looksLikeHandshake, PlainHead, type RequestHead } from '@roost/websocket';
import type { Log } from '../../api/log.ts';
import { describeError, type AppHost, type Decided } from '../app/app-host.ts';
import { isPromise } from '../app/promises.ts';
import { HeadUpgradeRequest } from '../app/upgrade-request.ts';
import type { Subscriptions } from '../fan-out/subscriptions.ts';
import type { ConnectionTable } from '../rows/connection-table.ts';
import type { Draining } from '../rows/draining.ts';
import type { Answering } from './answering.ts';
import { REFUSALS } from './refusals.ts';
import type { Refusing } from './refusing.ts';
import type { UpgradeGuards } from './upgrade-guards.ts';
import type { Upgrading } from './upgrading.ts';

export interface DecidingParts {
  readonly table: ConnectionTable;
  readonly log: Log;
  readonly draining: Draining;
  readonly apps: Pick<AppHost, 'decide' | 'report'>;
  readonly subscriptions: Pick<Subscriptions, 'areConfirmed' | 'problem' | 'reserve' | 'unreserve'>;
  readonly guards: UpgradeGuards;
  readonly answering: Answering;
  readonly refusing: Refusing;
  readonly upgrading: Upgrading;
}

const NO_CHANNELS: readonly string[] = [];

/**
 * From a whole request head to its answer.
 *
 * When neither the hook nor the broker needs time, all of it happens in one call and no object outlives it. Otherwise the
 * row waits in state upgrading, and what the hook or the broker answers later is dropped if the row has left it in the
 * meantime. The client is answered after the broker has confirmed the first channels.
 */
export class Deciding {
  readonly #table: DecidingParts['table'];
  readonly #log: DecidingParts['log'];
  readonly #draining: DecidingParts['draining'];
  readonly #apps: DecidingParts['apps'];
  readonly #subscriptions: DecidingParts['subscriptions'];
  readonly #guards: DecidingParts['guards'];
  readonly #answering: DecidingParts['answering'];
  readonly #refusing: DecidingParts['refusing'];
  readonly #upgrading: DecidingParts['upgrading'];

  constructor(parts: DecidingParts) {
    this.#table = parts.table;
    this.#log = parts.log;
    this.#draining = parts.draining;
    this.#apps = parts.apps;
    this.#subscriptions = parts.subscriptions;
    this.#guards = parts.guards;
    this.#answering = parts.answering;
    this.#refusing = parts.refusing;
    this.#upgrading = parts.upgrading;
  }

  /** A row in state handshake has its whole head; `bytes` from `restStart` to `restEnd` came behind it. */
  begin(slot: number, head: RequestHead, bytes: Buffer, restStart: number, restEnd: number): void {
    if (!(head instanceof PlainHead) && !looksLikeHandshake(head)) {
      this.#answering.refuseHead(slot, head);
      return;
    }
    const refusal = this.#guards.refusalOf(slot, head);
    if (refusal !== undefined) {
      this.#refusing.refuse(slot, refusal);
      return;
    }
    const request = new HeadUpgradeRequest(this.#table, slot, head);
    let decided: Decided | Promise<Decided>;
    try {
      decided = this.#apps.decide(request);
    } catch (error) {
      this.#answering.appFailed(slot, error);
      return;
    }
    if (!isPromise(decided) && this.#subscriptions.areConfirmed(channelsOf(decided))) {
      if (this.#answering.answer(slot, head, decided))
        this.#upgrading.readRest(slot, bytes, restStart, restEnd);
    } else if (this.#upgrading.pause(slot, request, bytes, restStart, restEnd)) {
      void this.#await(slot, this.#table.generation(slot), head, request, decided);
    } else if (isPromise(decided)) {
      decided.catch((error: unknown) => this.#apps.report('upgrade', error));
    }
  }

  /** The slow way: waits for the hook, then for the broker. Never rejects. */
  async #await(
    slot: number,
    generation: number,
    head: RequestHead,
    request: HeadUpgradeRequest,
    pending: Decided | Promise<Decided>,
  ): Promise<void> {
    const isPending = (): boolean => this.#upgrading.isPending(slot, generation, request);
    let decided: Decided;
    try {
      decided = await pending;
    } catch (error) {
      if (isPending()) {
        this.#upgrading.settle(slot);
        this.#answering.appFailed(slot, error);
      } else {
        this.#apps.report('upgrade', error);
      }
      return;
    }
    if (!isPending()) return;
    const wanted = channelsOf(decided);
    // What cannot be had is refused with the answer.
    const channels = this.#subscriptions.problem(wanted) === undefined ? wanted : NO_CHANNELS;
    let hasGap: boolean;
    try {
      hasGap = channels.length > 0 && !(await this.#subscriptions.reserve(channels));
    } catch (error) {
      if (!isPending()) return;
      this.#upgrading.settle(slot);
      this.#log.warn({ error: describeError(error) }, 'subscriptions of an upgrade failed');
      this.#refusing.refuse(slot, REFUSALS.notConfirmed);
      return;
    }
    try {
      if (isPending()) this.#answer(slot, head, decided, hasGap);
    } finally {
      this.#subscriptions.unreserve(channels);
    }
  }

  #answer(slot: number, head: RequestHead, decided: Decided, hasGap: boolean): void {
    this.#upgrading.settle(slot);
    if (this.#draining.isDraining) this.#refusing.refuse(slot, REFUSALS.draining);
    else if (this.#answering.answer(slot, head, decided, { hasGap })) this.#upgrading.resume(slot);
  }
}

function channelsOf({ decision }: Decided): readonly string[] {
  return decision?.kind === 'accept' ? (decision.channels ?? NO_CHANNELS) : NO_CHANNELS;
}
