import { Interest } from '@roost/poller';
import { looksLikeHandshake, type RequestHead } from '@roost/websocket';
import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import type { FarmConfig } from '../../options/options.ts';
import { describeError, type AppHost, type Decided } from '../app/app-host.ts';
import { isPromise } from '../app/promises.ts';
import { HeadUpgradeRequest } from '../app/upgrade-request.ts';
import type { Subscriptions } from '../fan-out/subscriptions.ts';
import { RowFlag, RowState, type ConnectionTable } from '../rows/connection-table.ts';
import type { InboundBuffer } from '../rows/inbound-buffer.ts';
import type { Draining } from '../rows/draining.ts';
import type { Rows } from '../rows/rows.ts';
import { TimeoutKind, type Timeouts } from '../rows/timeouts.ts';
import type { Sockets } from '../sockets/sockets.ts';
import type { Answering } from './answering.ts';
import { REFUSALS, type Refusal } from './refusals.ts';
import type { Refusing } from './refusing.ts';
import { State } from './state.ts';
import type { UpgradeGuards } from './upgrade-guards.ts';

export interface UpgradingParts {
  readonly config: Pick<FarmConfig, 'maxHandshakes'>;
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly counters: Counters;
  readonly log: Log;
  readonly timeouts: Timeouts;
  readonly inboundBuffer: InboundBuffer;
  readonly sockets: Pick<Sockets, 'setInterest'>;
  readonly draining: Draining;
  readonly apps: Pick<AppHost, 'decide' | 'report'>;
  readonly subscriptions: Pick<Subscriptions, 'areConfirmed' | 'problem' | 'reserve' | 'unreserve'>;
  readonly guards: UpgradeGuards;
  readonly answering: Answering;
  readonly refusing: Refusing;
  /** What an accepted row goes on in: open, or closing when the open hook has begun to close it. */
  readonly next: { readonly open: Pick<State, 'receive'>; readonly closing: Pick<State, 'receive'> };
}

const EMPTY = Buffer.alloc(0);
const NO_CHANNELS: readonly string[] = [];

/**
 * From a whole request head to its answer.
 *
 * When neither the hook nor the broker needs time, all of it happens in one call and no object outlives it. Otherwise the
 * row is paused, counted against `maxHandshakes`, and what the hook or the broker answers later is dropped if the row has
 * ended in the meantime. The client is answered after the broker has confirmed the first channels.
 */
export class Upgrading extends State {
  readonly #parts: UpgradingParts;
  /** Upgrades that wait, by slot. */
  readonly #pending = new Map<number, HeadUpgradeRequest>();

  constructor(parts: UpgradingParts) {
    super(parts.rows);
    this.#parts = parts;
  }

  /** A row in state handshake has its whole head; `bytes` from `restStart` to `restEnd` came behind it. */
  begin(slot: number, head: RequestHead, bytes: Buffer, restStart: number, restEnd: number): void {
    const { table, apps, subscriptions, guards, answering, refusing } = this.#parts;
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
    if (isPromise(decided) || !subscriptions.areConfirmed(channelsOf(decided))) {
      this.#pause(slot, head, request, decided, bytes, restStart, restEnd);
    } else if (answering.answer(slot, head, decided)) {
      this.#readRest(slot, bytes, restStart, restEnd);
    }
  }

  /** The row is paused: these bytes came in the batch in which it was. */
  receive(slot: number, bytes: Buffer, start: number, end: number): void {
    if (start === end || this.#parts.inboundBuffer.append(slot, bytes, start, end)) return;
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
    this.#parts.counters.add('upgrades_abandoned');
    this.#abandon(slot);
    super.onLost(slot);
  }

  onTimeout(slot: number): void {
    this.#giveUp(slot, REFUSALS.upgradeTimeout);
  }

  #giveUp(slot: number, refusal: Refusal): void {
    this.#abandon(slot);
    this.#parts.refusing.refuse(slot, refusal);
  }

  /** The row leaves this state without an answer of the hook. */
  #abandon(slot: number): void {
    const request = this.#pending.get(slot);
    if (request === undefined) return;
    this.#pending.delete(slot);
    request.abort();
  }

  #pause(
    slot: number,
    head: RequestHead,
    request: HeadUpgradeRequest,
    decided: Decided | Promise<Decided>,
    bytes: Buffer,
    restStart: number,
    restEnd: number,
  ): void {
    const { config, table, timeouts, sockets, apps, refusing } = this.#parts;
    if (this.#pending.size >= config.maxHandshakes) {
      request.abort();
      if (isPromise(decided)) decided.catch((error: unknown) => apps.report('upgrade', error));
      refusing.refuse(slot, REFUSALS.tooManyUpgrades);
      return;
    }
    this.rows.enter(slot, RowState.upgrading);
    sockets.setInterest(slot, Interest.paused);
    timeouts.set(slot, TimeoutKind.upgrade);
    this.#pending.set(slot, request);
    this.receive(slot, bytes, restStart, restEnd);
    void this.#await(slot, table.generation(slot), head, request, decided);
  }

  /** The slow way: waits for the hook, then for the broker. Never rejects. */
  async #await(
    slot: number,
    generation: number,
    head: RequestHead,
    request: HeadUpgradeRequest,
    pending: Decided | Promise<Decided>,
  ): Promise<void> {
    const { table, log, apps, subscriptions, answering, refusing } = this.#parts;
    const isStale = (): boolean => !table.isCurrent(slot, generation) || this.#pending.get(slot) !== request;
    let decided: Decided;
    try {
      decided = await pending;
    } catch (error) {
      if (isStale()) {
        apps.report('upgrade', error);
      } else {
        this.#pending.delete(slot);
        answering.appFailed(slot, error);
      }
      return;
    }
    if (isStale()) return;
    const wanted = channelsOf(decided);
    // What cannot be had is refused with the answer.
    const channels = subscriptions.problem(wanted) === undefined ? wanted : NO_CHANNELS;
    let hasGap: boolean;
    try {
      hasGap = channels.length > 0 && !(await subscriptions.reserve(channels));
    } catch (error) {
      if (isStale()) return;
      this.#pending.delete(slot);
      log.warn({ error: describeError(error) }, 'subscriptions of an upgrade failed');
      refusing.refuse(slot, REFUSALS.notConfirmed);
      return;
    }
    try {
      if (isStale()) return;
      this.#pending.delete(slot);
      this.#decided(slot, head, decided, hasGap);
    } finally {
      subscriptions.unreserve(channels);
    }
  }

  #decided(slot: number, head: RequestHead, decided: Decided, hasGap: boolean): void {
    const { draining, answering, refusing } = this.#parts;
    if (draining.isDraining) refusing.refuse(slot, REFUSALS.draining);
    else if (answering.answer(slot, head, decided, { hasGap })) this.#resume(slot);
  }

  /** Frames that came behind the request head are read now, then the socket again. */
  #resume(slot: number): void {
    const { table, inboundBuffer, sockets, next } = this.#parts;
    const generation = table.generation(slot);
    const isQueued = table.hasFlag(slot, RowFlag.queued);
    sockets.setInterest(slot, isQueued ? Interest.readable | Interest.writable : Interest.readable);
    // A close has taken what was kept.
    if (table.state(slot) !== RowState.open || inboundBuffer.length(slot) === 0) return;
    const rest = inboundBuffer.take(slot, EMPTY, 0, 0);
    if (table.isCurrent(slot, generation)) next.open.receive(slot, rest, 0, rest.length);
  }

  /** Frames that came with the request head. Even when they are only discarded the client's close frame is among them. */
  #readRest(slot: number, bytes: Buffer, start: number, end: number): void {
    if (start >= end) return;
    const { table, next } = this.#parts;
    const isClosing = table.state(slot) === RowState.closing;
    (isClosing ? next.closing : next.open).receive(slot, bytes, start, end);
  }
}

function channelsOf({ decision }: Decided): readonly string[] {
  return decision?.kind === 'accept' ? (decision.channels ?? NO_CHANNELS) : NO_CHANNELS;
}
