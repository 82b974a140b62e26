import { Interest } from '@roost/poller';
import { encodeCloseFrame, Opcode, refusalResponse } from '@roost/websocket';
import { addressKeyHigh, addressKeyLow } from '../../addresses/address-table.ts';
import { CloseCode } from '../../api/close-codes.ts';
import type { Connection } from '../../api/connection.ts';
import type { CounterName } from '../../api/counters.ts';
import { RowFlag, RowState, Transport } from '../rows/connection-table.ts';
import type { Core } from '../core.ts';
import { TimeoutKind } from '../rows/timeouts.ts';

/**
 * How connections end. Whatever the reason, the end is one call of {@link finish}, which gives back everything that the
 * row owned and calls the close hook that is owed.
 *
 * A close that the client begins is answered with a copy of its frame, and ends the row as soon as that is sent. A close
 * that we begin does not wake the connection: the close frame is sent, the row is in state closing, data is
 * discarded, and the client's close frame, its FIN or `closeTimeoutMs` ends it. An awake one leaves ws before, unless
 * ws has begun to close it.
 *
 * A client that has sent FIN may still read (RFC 9293 §3.6.1): what waits for it is sent, within `closeTimeoutMs`.
 */
export class Lifecycle {
  readonly #core: Core;
  /** Channels that closing rows have left, for their close hooks. */
  readonly #left = new Map<number, readonly string[]>();
  /** Rows whose close frames have gone both ways, and which only wait for their queue to be empty. */
  readonly #settled = new Map<number, { readonly code: number; readonly reason: string }>();
  readonly #released = { total: 0, limited: 0 };

  constructor(core: Core) {
    this.#core = core;
  }

  /** Sockets that this worker has finished with since its start, and how many of them were limited ones. */
  get released(): { readonly total: number; readonly limited: number } {
    return this.#released;
  }

  /** Begins the closing handshake. False when the connection is not open (any more). */
  close(slot: number, code: number, reason: string): boolean {
    const { table, awake, outbound, timeouts, inbound } = this.#core;
    const state = table.state(slot);
    if (state === RowState.awake ? !awake.leave(slot) : state !== RowState.open) return false;
    this.leaveChannels(slot);
    table.states[slot] = RowState.closing;
    table.clearFlag(slot, RowFlag.sendable);
    timeouts.set(slot, TimeoutKind.closing);
    outbound.sendChunk(slot, encodeCloseFrame(code, reason));
    inbound.beginClosing(slot);
    return true;
  }

  /** A close has begun: nothing is published to the row any more. Its close hook is still told the channels. */
  leaveChannels(slot: number): void {
    const { hub, table, apps } = this.#core;
    if (table.firstSubscriptions[slot] === 0) return;
    if (apps.hasCloseHook(table.apps[slot] ?? 0)) this.#left.set(slot, hub.subscriptionsOf(slot));
    hub.unsubscribeAll(slot);
  }

  /** An outbound queue is too long: what has not begun to be sent is dropped, and the close frame follows at once. */
  closeSlowConsumer(slot: number, reason: string): void {
    this.#core.outbound.discardUnsent(slot);
    this.close(slot, CloseCode.slowConsumer, reason);
  }

  /** Answers a request head with an HTTP error, sends FIN, and waits for the client's. */
  refuse(
    slot: number,
    status: number,
    reason: string,
    counter: CounterName,
    headers?: Record<string, string>,
  ): void {
    this.refuseWith(slot, refusalResponse(status, reason, headers), counter);
  }

  /** As {@link refuse}, with the whole response. */
  refuseWith(slot: number, response: string, counter: CounterName): void {
    const { table, outbound, timeouts, counters, inboundBuffer, sockets } = this.#core;
    counters.add(counter);
    // Paused by an upgrade that is refused after all: its FIN must be heard.
    if (table.state(slot) === RowState.upgrading) sockets.setInterest(slot, Interest.readable);
    inboundBuffer.release(slot);
    table.states[slot] = RowState.refusing;
    timeouts.set(slot, TimeoutKind.closing);
    outbound.sendHead(slot, response);
    outbound.finish(slot);
  }

  /** The client's close frame has come in answer to ours: nothing more will be said once the queue is empty. */
  closeAnswered(slot: number, code: number, reason: string): void {
    this.#settleClose(slot, code, reason);
  }

  /** The client's close frame has come first; `payload` is what it carried, which ours repeats. */
  answerClose(slot: number, payload: Buffer): void {
    const { table, outbound, timeouts, inboundBuffer } = this.#core;
    this.leaveChannels(slot);
    table.states[slot] = RowState.closing;
    table.clearFlag(slot, RowFlag.sendable);
    inboundBuffer.release(slot);
    timeouts.set(slot, TimeoutKind.closing);
    const code = payload.length === 0 ? CloseCode.noStatus : payload.readUInt16BE(0);
    const reason = payload.toString('utf8', 2);
    outbound.send(slot, Opcode.close, payload);
    this.#settleClose(slot, code, reason);
  }

  /** Nothing that the client still says matters. */
  isCloseSettled(slot: number): boolean {
    return this.#settled.has(slot);
  }

  /** A row that is on its way out has nothing more to send. */
  flushed(slot: number): void {
    const settled = this.#settled.get(slot);
    if (settled !== undefined) this.finish(slot, settled.code, settled.reason);
  }

  /** Close frames have gone both ways: the server ends the TCP connection (RFC 6455 §7.1.1), after what it still owes. */
  #settleClose(slot: number, code: number, reason: string): void {
    const { table, outbound } = this.#core;
    const isNative = table.transports[slot] === Transport.native;
    if (isNative && !table.hasFlag(slot, RowFlag.queued)) {
      this.finish(slot, code, reason);
      return;
    }
    this.#settled.set(slot, { code, reason });
    // What a stream still holds would end with it; and TLS takes its leave, too (close_notify).
    if (!isNative) outbound.finish(slot);
  }

  /** The connection is gone, and no closing handshake was completed unless it was before. */
  #finishAbruptly(slot: number): void {
    const { code, reason } = this.#settled.get(slot) ?? { code: CloseCode.abnormal, reason: '' };
    this.finish(slot, code, reason);
  }

  /** Ends the row when everything that waits for the client is sent; it will say nothing more. */
  conclude(slot: number, code: number, reason: string): void {
    const { table, timeouts, awake, inboundBuffer } = this.#core;
    if (!table.hasFlag(slot, RowFlag.queued)) {
      this.finish(slot, code, reason);
      return;
    }
    this.leaveChannels(slot);
    awake.release(slot);
    inboundBuffer.release(slot);
    if (table.hasFlag(slot, RowFlag.opened)) table.states[slot] = RowState.closing;
    table.clearFlag(slot, RowFlag.sendable);
    if (timeouts.kind(slot) !== TimeoutKind.closing) timeouts.set(slot, TimeoutKind.closing);
    this.#settled.set(slot, { code, reason });
  }

  /** The client has sent FIN: there are no bytes left to read. */
  peerEnded(slot: number): void {
    const { table, awake } = this.#core;
    const state = table.state(slot);
    if (state === RowState.awake) {
      // ws decides whether the closing handshake was complete.
      awake.end(slot);
    } else if (state === RowState.upgrading || state === RowState.handshake) {
      this.ended(slot);
    } else {
      const { code, reason } = this.#settled.get(slot) ?? { code: CloseCode.abnormal, reason: '' };
      this.conclude(slot, code, reason);
    }
  }

  /** The TCP connection has failed, or has ended without us. */
  ended(slot: number): void {
    const { table, awake, handshakes, outbound } = this.#core;
    const state = table.state(slot);
    if (state === RowState.awake) {
      // What waits is nobody's.
      outbound.release(slot);
      table.clearFlag(slot, RowFlag.queued);
      awake.end(slot);
      return;
    }
    if (state === RowState.upgrading) {
      this.#core.counters.add('upgrades_abandoned');
      handshakes.abandon(slot);
    }
    this.#finishAbruptly(slot);
  }

  /** The end of the row: gives back everything it owned and calls the close hook if one is owed. */
  finish(slot: number, code: number, reason: string): void {
    const app = this.#core.table.apps[slot] ?? 0;
    const closed = this.#end(slot, code);
    if (closed !== undefined) this.#core.apps.closed(app, closed, code, reason);
  }

  /** As {@link finish}, from within a send to somebody else: the close hook, which may send too, is called later. */
  finishLater(slot: number, code: number, reason: string): void {
    const app = this.#core.table.apps[slot] ?? 0;
    const closed = this.#end(slot, code);
    if (closed !== undefined) setImmediate(() => this.#core.apps.closed(app, closed, code, reason));
  }

  /** Gives back everything that the row owned. Answers what its close hook is to be told, if one is owed. */
  #end(slot: number, code: number): Connection | undefined {
    const core = this.#core;
    const { table, counters } = core;
    if (table.state(slot) === RowState.free) return undefined;
    const wasOpen = table.hasFlag(slot, RowFlag.opened);
    const app = table.apps[slot] ?? 0;
    const closed =
      wasOpen && core.apps.hasCloseHook(app)
        ? core.apps.describe(slot, this.#left.get(slot) ?? core.hub.subscriptionsOf(slot))
        : undefined;
    this.#left.delete(slot);
    this.#settled.delete(slot);
    core.timeouts.clear(slot);
    core.awake.release(slot);
    core.hub.unsubscribeAll(slot);
    core.outbound.release(slot);
    core.inboundBuffer.release(slot);
    core.apps.release(slot);
    core.messageRate?.release(slot);
    if (table.state(slot) === RowState.http) core.http.release(slot);
    core.sockets.close(slot);
    if (table.hasFlag(slot, RowFlag.counted | RowFlag.limited)) this.#uncount(slot);
    table.release(slot);
    this.#released.total++;
    core.noteReleased();
    if (!wasOpen) return undefined;
    counters.add('closed');
    if (code === CloseCode.abnormal) counters.add('closed_abnormally');
    return closed;
  }

  /** Whoever counted the row for its address learns that it has ended. */
  #uncount(slot: number): void {
    const { table, addresses } = this.#core;
    if (table.hasFlag(slot, RowFlag.limited)) this.#released.limited++;
    if (!table.hasFlag(slot, RowFlag.counted)) return;
    const offset = table.addressOffset(slot);
    const high = addressKeyHigh(table.addresses, offset);
    const low = addressKeyLow(table.addresses, offset);
    if (table.hasFlag(slot, RowFlag.proxied)) addresses.clientEnded(high, low);
    else addresses.peerEnded(high, low);
  }

  /** A row's timeout has passed. */
  expired(slot: number, kind: number): void {
    const core = this.#core;
    switch (kind) {
      case TimeoutKind.handshake:
        if (core.table.state(slot) === RowState.handshake && core.inboundBuffer.length(slot) > 0) {
          this.refuse(slot, 408, 'the request head did not arrive in time', 'refused_handshake_timeout');
        } else {
          core.counters.add('refused_handshake_timeout');
          this.finish(slot, CloseCode.abnormal, '');
        }
        return;
      case TimeoutKind.upgrade:
        core.handshakes.abandon(slot);
        this.refuse(slot, 503, 'the upgrade took too long', 'refused_upgrade_timeout', {
          'Retry-After': '5',
        });
        return;
      case TimeoutKind.message:
        core.counters.add('closed_message_timeout');
        this.close(slot, CloseCode.messageTimeout, 'the message did not arrive in time');
        return;
      case TimeoutKind.quiet:
        core.awake.hibernate(slot);
        return;
      case TimeoutKind.closing:
        core.counters.add('close_timeouts');
        this.#finishAbruptly(slot);
        return;
      case TimeoutKind.http:
        core.http.expired(slot);
        return;
      default:
    }
  }
}
