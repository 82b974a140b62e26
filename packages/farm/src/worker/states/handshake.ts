import { Interest } from '@roost/poller';
import {
  looksLikeHandshake,
  parseRequestHead,
  refusalResponse,
  Upgrader,
  type RequestHead,
  type UpgradeResult,
} from '@roost/websocket';
import { addressKeyHigh, addressKeyLow } from '../../addresses/address-table.ts';
import type { Acceptance, Rejection } from '../../api/app.ts';
import type { Decided } from '../app/app-host.ts';
import { describeError } from '../app/app-host.ts';
import { RowFlag, RowState } from '../rows/connection-table.ts';
import type { Core } from '../core.ts';
import { applyForwardedFor } from './forwarded-for.ts';
import { isPromise } from '../app/promises.ts';
import { TimeoutKind } from '../rows/timeouts.ts';
import { HeadUpgradeRequest } from '../app/upgrade-request.ts';

const RETRY_SOON = { 'Retry-After': '5' };
const TOO_MANY = 'too many connections from this address';
const LINE_FEED = 0x0a;

/**
 * From the first byte of a socket to its 101.
 *
 * A whole request head that asks for WebSocket is given to the apps; the others go to the HTTP server. When neither the
 * hook nor the broker needs time, all of it happens in one call and no object outlives it. Otherwise the row is paused
 * in state upgrading, counted against `maxHandshakes`, and what the hook or the broker answers later is dropped if the
 * row has ended meanwhile. The 101 is sent after the broker has confirmed the first channels, and in the same tick as
 * the hub learns of them: who has the 101 misses nothing from then on.
 */
export class Handshakes {
  readonly #core: Core;
  readonly #upgrader: Upgrader;
  /** Upgrades that wait, by slot. */
  readonly #pending = new Map<number, HeadUpgradeRequest>();

  constructor(core: Core) {
    this.#core = core;
    const { maxMessageBytes, compression } = core.config;
    this.#upgrader = new Upgrader({ maxMessageBytes, compression });
  }

  /** Bytes of a row in state handshake. */
  receive(slot: number, bytes: Buffer, start: number, end: number): void {
    const { inboundBuffer, config, lifecycle, counters } = this.#core;
    const stored = inboundBuffer.length(slot);
    let source = bytes;
    let from = start;
    let to = end;
    if (stored > 0) {
      // A head can only end with a line: a dribbling client is parsed once a line, not once a byte.
      const hasLineEnd = bytes.subarray(start, end).includes(LINE_FEED);
      if (!hasLineEnd && stored + end - start <= config.maxRequestHeadBytes) {
        this.#keep(slot, bytes, start, end);
        return;
      }
      source = inboundBuffer.take(slot, bytes, start, end);
      from = 0;
      to = source.length;
    }
    const result = parseRequestHead(source, from, to, { maxHeadBytes: config.maxRequestHeadBytes });
    if (result.kind === 'incomplete') {
      this.#keep(slot, source, from, to);
    } else if (result.kind === 'refused') {
      lifecycle.refuse(slot, result.status, result.reason, 'refused_bad_request');
    } else if (this.#core.table.hasFlag(slot, RowFlag.limited)) {
      lifecycle.refuse(slot, 429, TOO_MANY, 'refusals_answered', RETRY_SOON);
    } else if (result.head.isUpgrade) {
      this.#upgrade(slot, result.head, source, from + result.head.headBytes, to);
    } else {
      counters.add('http_connections');
      this.#core.http.take(slot, source, from, to);
    }
  }

  /** Bytes of a row in state upgrading. It is paused: these came in the batch in which it was. */
  receivePaused(slot: number, bytes: Buffer, start: number, end: number): void {
    this.#keep(slot, bytes, start, end);
  }

  /** A paused client has sent FIN: it is told to the hook. Frames before it are read if the hook lets it in. */
  peerEnded(slot: number): void {
    const { table, lifecycle } = this.#core;
    // It has left while its ClientHello waited for its turn.
    if (table.state(slot) === RowState.securing) lifecycle.ended(slot);
    else this.#pending.get(slot)?.abort();
  }

  /** The row leaves state upgrading without an answer of the hook. */
  abandon(slot: number): void {
    const request = this.#pending.get(slot);
    if (request === undefined) return;
    this.#pending.delete(slot);
    request.abort();
  }

  #keep(slot: number, bytes: Buffer, start: number, end: number): void {
    const { inboundBuffer, lifecycle } = this.#core;
    if (start === end || inboundBuffer.append(slot, bytes, start, end)) return;
    const reason = 'the server is short of memory for requests';
    this.abandon(slot);
    lifecycle.refuse(slot, 503, reason, 'refused_inbound_bytes', RETRY_SOON);
  }

  #upgrade(slot: number, head: RequestHead, bytes: Buffer, restStart: number, restEnd: number): void {
    const core = this.#core;
    const { lifecycle, table, config } = core;
    if (!looksLikeHandshake(head)) {
      lifecycle.refuseWith(slot, this.#upgrader.upgrade(head).response, 'refused_bad_request');
      return;
    }
    applyForwardedFor(core, slot, head.headers);
    if (core.isDraining) {
      this.#refuseDraining(slot);
      return;
    }
    if (table.hasFlag(slot, RowFlag.reserved)) {
      lifecycle.refuse(slot, 503, 'the server is at its connection limit', 'refused_limit', RETRY_SOON);
      return;
    }
    if (!core.allowedOrigins.isAllowed(head.headers)) {
      lifecycle.refuse(slot, 403, 'pages of this origin may not connect', 'refused_origin');
      return;
    }
    if (table.hasFlag(slot, RowFlag.proxied) && !this.#admitClient(slot)) return;
    const request = new HeadUpgradeRequest(core, slot, head);
    let decided: Decided | Promise<Decided>;
    try {
      decided = core.apps.decide(request);
    } catch (error) {
      this.#appFailed(slot, error);
      return;
    }
    if (!isPromise(decided)) {
      const { decision } = decided;
      const channels = decision?.kind === 'accept' ? (decision.channels ?? []) : [];
      if (channels.length === 0 || core.subscriptions.areConfirmed(channels)) {
        if (!this.#settle(slot, head, decided, false)) return;
        this.#readRest(slot, bytes, restStart, restEnd);
        return;
      }
    }
    if (this.#pending.size >= config.maxHandshakes) {
      request.abort();
      if (isPromise(decided)) decided.catch((error: unknown) => core.apps.report('upgrade', error));
      lifecycle.refuse(slot, 503, 'too many upgrades are waiting', 'refused_handshakes', RETRY_SOON);
      return;
    }
    table.states[slot] = RowState.upgrading;
    core.sockets.setInterest(slot, Interest.paused);
    core.timeouts.set(slot, TimeoutKind.upgrade);
    this.#pending.set(slot, request);
    this.#keep(slot, bytes, restStart, restEnd);
    void this.#await(slot, table.generation(slot), head, request, decided);
  }

  /** The slow way: never rejects. */
  async #await(
    slot: number,
    generation: number,
    head: RequestHead,
    request: HeadUpgradeRequest,
    pending: Decided | Promise<Decided>,
  ): Promise<void> {
    const { subscriptions, log, lifecycle } = this.#core;
    const isStale = (): boolean =>
      !this.#core.table.isCurrent(slot, generation) || this.#pending.get(slot) !== request;
    let decided: Decided;
    try {
      decided = await pending;
    } catch (error) {
      if (isStale()) this.#core.apps.report('upgrade', error);
      else this.#appFailed(slot, error);
      return;
    }
    if (isStale()) return;
    const { decision } = decided;
    const channels = decision?.kind === 'accept' ? (decision.channels ?? []) : [];
    const problem = subscriptions.problem(channels);
    let hasGap = false;
    let held: readonly string[] = [];
    if (channels.length > 0 && problem === undefined) {
      try {
        hasGap = !(await subscriptions.hold(channels));
        held = channels;
      } catch (error) {
        if (isStale()) return;
        this.#pending.delete(slot);
        log.warn({ error: describeError(error) }, 'subscriptions of an upgrade failed');
        lifecycle.refuse(
          slot,
          503,
          'the broker did not confirm the channels',
          'refused_subscribe',
          RETRY_SOON,
        );
        return;
      }
    }
    try {
      if (isStale()) return;
      this.#pending.delete(slot);
      if (this.#core.isDraining) this.#refuseDraining(slot);
      else if (this.#settle(slot, head, decided, hasGap)) this.#resume(slot);
    } finally {
      subscriptions.unhold(held);
    }
  }

  /** Answers the client. True when it is a connection now, which the open hook may have begun to close. */
  #settle(slot: number, head: RequestHead, { decision, app }: Decided, hasGap: boolean): boolean {
    const { lifecycle, subscriptions } = this.#core;
    if (decision === undefined) {
      lifecycle.refuse(slot, 404, 'nothing serves this path', 'refused_by_app');
      return false;
    }
    if (decision.kind === 'reject') {
      this.#reject(slot, decision);
      return false;
    }
    const problem = subscriptions.problem(decision.channels ?? []);
    if (problem !== undefined) {
      lifecycle.refuse(slot, 400, problem, 'refused_by_app');
      return false;
    }
    let answer: UpgradeResult;
    try {
      answer = this.#upgrader.upgrade(head, { protocol: decision.protocol, headers: decision.headers });
    } catch (error) {
      // A header of the application's that cannot be sent.
      this.#appFailed(slot, error);
      return false;
    }
    if (!answer.accepted) {
      lifecycle.refuseWith(slot, answer.response, 'refused_bad_request');
      return false;
    }
    this.#open(slot, app, decision, answer, hasGap);
    const state = this.#core.table.state(slot);
    return state === RowState.open || state === RowState.closing;
  }

  /** Frames that came with the request head. */
  #readRest(slot: number, bytes: Buffer, start: number, end: number): void {
    const { table, inbound } = this.#core;
    if (start >= end) return;
    // Even what is only discarded must be read: the client's close frame stands behind it.
    if (table.state(slot) === RowState.closing) inbound.receiveClosing(slot, bytes, start, end);
    else inbound.receive(slot, bytes, start, end);
  }

  /** The limits of the address that a proxy has named; those of peers were the master's. */
  #admitClient(slot: number): boolean {
    const { table, addresses, counters, lifecycle } = this.#core;
    const offset = table.addressOffset(slot);
    const high = addressKeyHigh(table.addresses, offset);
    const verdict = addresses.judge(high, addressKeyLow(table.addresses, offset), performance.now());
    switch (verdict) {
      case 'connections':
      case 'rate':
        lifecycle.refuse(slot, 429, TOO_MANY, `refused_address_${verdict}`, RETRY_SOON);
        return false;
      case 'counted':
        table.setFlag(slot, RowFlag.counted);
        return true;
      case 'untracked':
        counters.add('addresses_untracked');
        return true;
      default:
        return true;
    }
  }

  #refuseDraining(slot: number): void {
    this.#core.lifecycle.refuse(slot, 503, 'the server is shutting down', 'refused_draining', RETRY_SOON);
  }

  #reject(slot: number, { status, reason, headers }: Rejection): void {
    let response: string;
    try {
      response = refusalResponse(status, reason, headers);
    } catch (error) {
      // A header of the application's that cannot be sent.
      this.#appFailed(slot, error);
      return;
    }
    this.#core.lifecycle.refuseWith(slot, response, 'refused_by_app');
  }

  #open(slot: number, app: number, decision: Acceptance, answer: UpgradeResult, hasGap: boolean): void {
    const { table, timeouts, apps, hub, outbound, counters, subscriptions } = this.#core;
    timeouts.clear(slot);
    table.states[slot] = RowState.open;
    table.apps[slot] = app;
    table.lastSeen[slot] = this.#core.clock.now;
    table.setFlag(slot, RowFlag.sendable | RowFlag.opened);
    if (answer.isDeflated) {
      table.setFlag(slot, RowFlag.deflate);
      counters.add('upgrades_compressed');
    }
    if (decision.attachment !== undefined) apps.setAttachment(slot, decision.attachment);
    if (decision.expiresAt !== undefined) this.#core.expirations.set(slot, decision.expiresAt);
    outbound.sendHead(slot, answer.response);
    for (const channel of decision.channels ?? []) hub.subscribe(slot, channel);
    if (hasGap) subscriptions.markGap(slot);
    counters.add('upgrades');
    apps.open(slot);
  }

  /** Frames that came behind the request head are read now, then the socket again. */
  #resume(slot: number): void {
    const { inboundBuffer, inbound, sockets, table } = this.#core;
    const generation = table.generation(slot);
    const isQueued = table.hasFlag(slot, RowFlag.queued);
    sockets.setInterest(slot, isQueued ? Interest.readable | Interest.writable : Interest.readable);
    // A close has taken what was kept.
    if (table.state(slot) !== RowState.open || inboundBuffer.length(slot) === 0) return;
    const rest = inboundBuffer.take(slot, EMPTY, 0, 0);
    if (table.isCurrent(slot, generation)) inbound.receive(slot, rest, 0, rest.length);
  }

  #appFailed(slot: number, error: unknown): void {
    this.#pending.delete(slot);
    this.#core.apps.report('upgrade', error);
    this.#core.lifecycle.refuse(slot, 500, 'the application failed', 'refused_app_error');
  }
}

const EMPTY = Buffer.alloc(0);
