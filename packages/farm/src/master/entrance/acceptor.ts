import { constants } from 'node:os';
import { accept, ADDRESS_BYTES, closeDescriptor, Interest, type Poller } from '@roost/poller';
import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import { Rate } from '../../addresses/rate.ts';
import type { Guard } from '../guard.ts';

/** Sockets asked of one wake-up. */
const MAX_ACCEPTS = 64;
/** After EMFILE and the like: a level-triggered listener would spin. */
const ERROR_PAUSE_MS = 100;
/**
 * When sockets arrive faster than that, those of this time are accepted together: waking for each, handing it off alone
 * and acknowledging it costs master and worker a sixth of the handshake.
 */
const GATHER_MS = 1;
/** Sockets that acceptRate allows are accepted together, instead of waking for each. */
const RATE_PAUSE_MS = 20;

export interface AcceptorHooks {
  /** How many sockets could be handed off now. */
  room(): number;
  /**
   * Takes over the sockets of one wake-up, the first `count` of `fds`; their peer addresses stand in `addresses`,
   * ADDRESS_BYTES each. Answers how many it lets in: the others are refused.
   */
  accepted(fds: Int32Array, count: number, addresses: Uint8Array): number;
}

/**
 * The listener: accepts in batches what the workers have room for and the rate allows. Otherwise it is paused, and
 * clients wait in the kernel's listen queue: until {@link resume} is called, for there may be room again, or until the
 * rate allows more. A refused socket does not count: a flood of one address must not use up what others are waiting for.
 */
export class Acceptor {
  readonly #poller: Poller;
  readonly #listener: number;
  readonly #id: number;
  readonly #rate: Rate;
  readonly #hooks: AcceptorHooks;
  readonly #counters: Counters;
  readonly #log: Log;
  readonly #guard: Guard;
  readonly #guardedRun: () => boolean;
  readonly #fds = new Int32Array(MAX_ACCEPTS);
  readonly #addresses = new Uint8Array(MAX_ACCEPTS * ADDRESS_BYTES);
  #acceptedAt = 0;
  #isWatched = false;
  #isClosed = false;
  #isLast = false;
  /** It pauses for a time, even if there is room. */
  #timer: NodeJS.Timeout | undefined;

  constructor(
    poller: Poller,
    listener: number,
    id: number,
    ratePerSecond: number,
    hooks: AcceptorHooks,
    counters: Counters,
    log: Log,
    guard: Guard,
  ) {
    this.#poller = poller;
    this.#listener = listener;
    this.#id = id;
    this.#rate = new Rate(ratePerSecond);
    this.#hooks = hooks;
    this.#counters = counters;
    this.#log = log;
    this.#guard = guard;
    this.#guardedRun = guard.wrap('accepting', () => this.#accept());
  }

  /** Starts accepting, or goes on when there is room. */
  resume(): void {
    if (this.#isWatched || this.#isClosed || this.#timer !== undefined || this.#hooks.room() <= 0) return;
    const outcome = this.#poller.watchDescriptor(this.#listener, this.#id, Interest.readable);
    this.#isWatched = outcome === 0;
    if (this.#isWatched) return;
    this.#counters.add('watch_errors');
    this.#log.error({ errno: -outcome, pauseMs: ERROR_PAUSE_MS }, 'listener could not be watched; pausing');
    this.#pauseFor(ERROR_PAUSE_MS);
  }

  /** The listener is readable. */
  run(): void {
    if (this.#isClosed || this.#guardedRun()) return;
    // Whatever it was: the listener is still readable, and would be for ever.
    this.#pauseFor(ERROR_PAUSE_MS);
  }

  #accept(): void {
    let room = Math.min(MAX_ACCEPTS, this.#hooks.room());
    if (room <= 0) {
      this.#pause();
      this.#counters.add('accept_pauses');
      return;
    }
    const isPaced = this.#rate.perSecond > 0 && !this.#isLast;
    if (isPaced) room = Math.min(room, this.#rate.available(performance.now()));
    if (room === 0) {
      this.#pauseForRate();
      return;
    }
    const count = accept(this.#listener, this.#fds.subarray(0, room), this.#addresses);
    if (count === -constants.errno.EAGAIN) return;
    if (count < 0) {
      this.#failed(-count);
      return;
    }
    this.#counters.add('accepted', count);
    const admitted = this.#hooks.accepted(this.#fds, count, this.#addresses);
    const now = performance.now();
    if (isPaced) this.#rate.take(now, admitted);
    // A full batch means that more are waiting.
    if (count < room && now - this.#acceptedAt < GATHER_MS) this.#pauseFor(GATHER_MS);
    this.#acceptedAt = now;
  }

  /** Accepts no more. Clients in the listen queue are accepted first, so that a worker can answer them. */
  close(): void {
    if (this.#isClosed) return;
    this.#isLast = true;
    for (let calls = 0; calls < MAX_ACCEPTS && this.#hooks.room() > 0; calls++) {
      const before = this.#counters.get('accepted');
      this.run();
      if (this.#counters.get('accepted') === before) break;
    }
    this.#isClosed = true;
    clearTimeout(this.#timer);
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
    this.#pauseFor(ERROR_PAUSE_MS);
  }

  #pauseForRate(): void {
    this.#counters.add('accept_rate_pauses');
    const wanted = Math.max(1, Math.floor((this.#rate.perSecond * RATE_PAUSE_MS) / 1000));
    this.#pauseFor(Math.ceil(this.#rate.waitMs(performance.now(), wanted)));
  }

  #pauseFor(milliseconds: number): void {
    this.#pause();
    // An acceptor that is closing accepts its last sockets without waiting.
    clearTimeout(this.#timer);
    this.#timer = this.#guard.after(milliseconds, 'going on to accept', () => {
      this.#timer = undefined;
      this.resume();
    });
  }
}
