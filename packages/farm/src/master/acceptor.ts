import { constants } from 'node:os';
import { accept, ADDRESS_BYTES, closeDescriptor, Interest, type Poller } from '@roost/poller';
import type { Counters } from '../counters.ts';
import type { Log } from '../log.ts';

/** Sockets asked of one wake-up. */
const MAX_ACCEPTS = 64;
/** After EMFILE and the like: a level-triggered listener would spin. */
const ERROR_PAUSE_MS = 100;

export interface AcceptorHooks {
  /** How many sockets could be handed off now. */
  room(): number;
  /** Takes over a socket; its peer address stands in `addresses` from `offset` on. */
  accepted(fd: number, addresses: Uint8Array, offset: number): void;
  /** The sockets of one wake-up have all been given. */
  acceptedAll(): void;
}

/**
 * The listener: accepts in batches what the workers have room for. Without room it is paused, and clients wait in the
 * kernel's listen queue; {@link resume} is called when there may be room again.
 */
export class Acceptor {
  readonly #poller: Poller;
  readonly #listener: number;
  readonly #id: number;
  readonly #hooks: AcceptorHooks;
  readonly #counters: Counters;
  readonly #log: Log;
  readonly #fds = new Int32Array(MAX_ACCEPTS);
  readonly #addresses = new Uint8Array(MAX_ACCEPTS * ADDRESS_BYTES);
  #isWatched = false;
  #isClosed = false;
  #errorTimer: NodeJS.Timeout | undefined;

  constructor(
    poller: Poller,
    listener: number,
    id: number,
    hooks: AcceptorHooks,
    counters: Counters,
    log: Log,
  ) {
    this.#poller = poller;
    this.#listener = listener;
    this.#id = id;
    this.#hooks = hooks;
    this.#counters = counters;
    this.#log = log;
  }

  /** Starts accepting, or goes on when there is room. */
  resume(): void {
    if (this.#isWatched || this.#isClosed || this.#errorTimer !== undefined || this.#hooks.room() <= 0)
      return;
    this.#isWatched = true;
    this.#poller.watchDescriptor(this.#listener, this.#id, Interest.readable);
  }

  /** The listener is readable. */
  run(): void {
    if (this.#isClosed) return;
    const room = Math.min(MAX_ACCEPTS, this.#hooks.room());
    if (room <= 0) {
      this.#pause();
      this.#counters.add('accept_pauses');
      return;
    }
    const count = accept(this.#listener, this.#fds.subarray(0, room), this.#addresses);
    if (count === -constants.errno.EAGAIN) return;
    if (count < 0) {
      this.#failed(-count);
      return;
    }
    this.#counters.add('accepted', count);
    for (let index = 0; index < count; index++) {
      this.#hooks.accepted(this.#fds[index] ?? -1, this.#addresses, index * ADDRESS_BYTES);
    }
    this.#hooks.acceptedAll();
  }

  /** Accepts no more. Who waits in the listen queue is accepted first, so that a worker can tell it why. */
  close(): void {
    if (this.#isClosed) return;
    for (let turn = 0; turn < MAX_ACCEPTS && this.#hooks.room() > 0; turn++) {
      const before = this.#counters.get('accepted');
      this.run();
      if (this.#counters.get('accepted') === before) break;
    }
    this.#isClosed = true;
    clearTimeout(this.#errorTimer);
    this.#pause();
    closeDescriptor(this.#listener);
  }

  #pause(): void {
    if (!this.#isWatched) return;
    this.#isWatched = false;
    this.#poller.unwatchDescriptor(this.#listener);
  }

  #failed(errno: number): void {
    this.#counters.add('accept_errors');
    this.#log.error({ errno, pauseMs: ERROR_PAUSE_MS }, 'accept failed; pausing');
    this.#pause();
    this.#errorTimer = setTimeout(() => {
      this.#errorTimer = undefined;
      this.resume();
    }, ERROR_PAUSE_MS);
  }
}
