// The leading underscores are Node's, and ws reads them.
/* oxlint-disable no-underscore-dangle */
import { EventEmitter } from 'node:events';

import type { WebSocketSocket } from './ws-adapter.ts';

/** Receives what ws does with its socket. One object serves all sockets, and gets the owner of each. */
export interface AwakeSocketListeners<Owner> {
  onWrite(owner: Owner, frame: Buffer): void;
  /** ws will write no more. Called once, in a separate tick. */
  onFinish(owner: Owner): void;
}

const NOT_ENDED = Object.freeze({ endEmitted: false, length: 0 });
const ENDED = Object.freeze({ endEmitted: true, length: 0 });
const NOTHING_QUEUED = Object.freeze({ length: 0 });

/**
 * What ws takes for the socket of an awake connection. It owns no bytes: those received go through it to ws within the
 * call, those that ws writes go to the owner within the call, one buffer a frame, and are acknowledged at once.
 *
 * It is not a stream.Duplex: a Duplex delivers its first bytes a tick later, buffers, and costs 2 KB; the part of one that
 * ws uses is small (see WebSocketSocket). Pausing is not needed: ws's receiver takes every write within the call, as
 * long as its events are synchronous, and what it then holds is bounded by its own limits.
 *
 * As with a Duplex, `close` comes a tick after both sides have ended, or after `destroy`: ws begins a close timer after
 * the call that ended the socket, and expects the close event later than that.
 */
export class AwakeSocket<Owner> extends EventEmitter implements WebSocketSocket {
  destroyed = false;
  _readableState: { readonly endEmitted: boolean; readonly length: number } = NOT_ENDED;
  readonly _writableState = NOTHING_QUEUED;

  readonly #listeners: AwakeSocketListeners<Owner>;
  readonly #owner: Owner;
  #corked: Buffer[] | undefined;
  #acknowledge: (() => void) | undefined;
  #hasFinished = false;
  #isSilent = false;

  constructor(listeners: AwakeSocketListeners<Owner>, owner: Owner) {
    super();
    this.#listeners = listeners;
    this.#owner = owner;
  }

  /** Gives received bytes to ws. They are ignored once ws has stopped listening: after a close frame or an error. */
  deliver(bytes: Buffer): void {
    this.emit('data', bytes);
  }

  /** Tells ws that the client will send no more. */
  deliverEnd(): void {
    if (this.destroyed || this._readableState.endEmitted) return;
    this._readableState = ENDED;
    this.emit('end');
    this.#closeWhenBothEnded();
  }

  /** Ends everything without telling anybody. */
  silence(): void {
    this.#isSilent = true;
    this.destroyed = true;
    this.removeAllListeners();
  }

  cork(): void {
    this.#corked = [];
  }

  uncork(): void {
    const parts = this.#corked;
    this.#corked = undefined;
    if (parts === undefined || parts.length === 0) return;
    this.#send(parts);
  }

  write(bytes: Buffer, acknowledge?: () => void): boolean {
    // The only writes that can come so late are pongs and close frames that the client will not read any more.
    if (this.destroyed || this.#hasFinished) return false;
    if (acknowledge !== undefined) this.#acknowledge = acknowledge;
    if (this.#corked === undefined) this.#send([bytes]);
    else this.#corked.push(bytes);
    return true;
  }

  end(): void {
    if (this.destroyed || this.#hasFinished) return;
    this.#hasFinished = true;
    process.nextTick(finish, this);
    this.#closeWhenBothEnded();
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    process.nextTick(emitClose, this);
  }

  pause(): void {
    // See above.
  }

  resume(): void {
    // See above.
  }

  #send(parts: readonly Buffer[]): void {
    // Copied, because the parts are slices of Node's pool and of received bytes, and the frame may wait in a queue.
    let length = 0;
    for (const part of parts) length += part.length;
    const frame = Buffer.allocUnsafeSlow(length);
    let at = 0;
    for (const part of parts) {
      frame.set(part, at);
      at += part.length;
    }
    const acknowledge = this.#acknowledge;
    this.#acknowledge = undefined;
    this.#listeners.onWrite(this.#owner, frame);
    acknowledge?.();
  }

  #closeWhenBothEnded(): void {
    if (this.#hasFinished && this._readableState.endEmitted) this.destroy();
  }

  /** Called by the tick that {@link end} asked for. */
  finish(): void {
    if (!this.#isSilent) this.#listeners.onFinish(this.#owner);
  }
}

function finish(socket: AwakeSocket<unknown>): void {
  socket.finish();
}

function emitClose(socket: AwakeSocket<unknown>): void {
  socket.emit('close');
}
