import { looksLikeHandshake, type RequestHead } from '@roost/websocket';
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
  readonly #parts: DecidingParts;

  constructor(parts: DecidingParts) {
    this.#parts = parts;
  }

  /** A row in state handshake has its whole head; `bytes` from `restStart` to `restEnd` came behind it. */
  begin(slot: number, head: RequestHead, bytes: Buffer, restStart: number, restEnd: number): void {
    const { table, apps, subscriptions, guards, answering, refusing, upgrading } = this.#parts;
    if (!looksLikeHandshake(head)) {
      answering.refuseHead(slot, head);
      return;
    }
    const refusal = guards.refusalOf(slot, head);
    if (refusal !== undefined) {
      refusing.refuse(slot, refusal);
      return;
    }
    const request = new HeadUpgradeRequest(table, slot, head);
    let decided: Decided | Promise<Decided>;
    try {
      decided = apps.decide(request);
    } catch (error) {
      answering.appFailed(slot, error);
      return;
    }
    if (!isPromise(decided) && subscriptions.areConfirmed(channelsOf(decided))) {
      if (answering.answer(slot, head, decided)) upgrading.readRest(slot, bytes, restStart, restEnd);
    } else if (upgrading.pause(slot, request, bytes, restStart, restEnd)) {
      void this.#await(slot, table.generation(slot), head, request, decided);
    } else if (isPromise(decided)) {
      decided.catch((error: unknown) => apps.report('upgrade', error));
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
    const { log, apps, subscriptions, answering, refusing, upgrading } = this.#parts;
    const isPending = (): boolean => upgrading.isPending(slot, generation, request);
    let decided: Decided;
    try {
      decided = await pending;
    } catch (error) {
      if (isPending()) {
        upgrading.settle(slot);
        answering.appFailed(slot, error);
      } else {
        apps.report('upgrade', error);
      }
      return;
    }
    if (!isPending()) return;
    const wanted = channelsOf(decided);
    // What cannot be had is refused with the answer.
    const channels = subscriptions.problem(wanted) === undefined ? wanted : NO_CHANNELS;
    let hasGap: boolean;
    try {
      hasGap = channels.length > 0 && !(await subscriptions.reserve(channels));
    } catch (error) {
      if (!isPending()) return;
      upgrading.settle(slot);
      log.warn({ error: describeError(error) }, 'subscriptions of an upgrade failed');
      refusing.refuse(slot, REFUSALS.notConfirmed);
      return;
    }
    try {
      if (isPending()) this.#answer(slot, head, decided, hasGap);
    } finally {
      subscriptions.unreserve(channels);
    }
  }

  #answer(slot: number, head: RequestHead, decided: Decided, hasGap: boolean): void {
    const { draining, answering, refusing, upgrading } = this.#parts;
    upgrading.settle(slot);
    if (draining.isDraining) refusing.refuse(slot, REFUSALS.draining);
    else if (answering.answer(slot, head, decided, { hasGap })) upgrading.resume(slot);
  }
}

function channelsOf({ decision }: Decided): readonly string[] {
  return decision?.kind === 'accept' ? (decision.channels ?? NO_CHANNELS) : NO_CHANNELS;
}
