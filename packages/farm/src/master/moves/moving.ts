import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import type { WorkerMessage } from '../../link/messages.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { Guard } from '../guard.ts';
import type { Places } from '../workers/places.ts';
import type { WorkerLife } from '../workers/worker-life.ts';
import { Changes } from './changes.ts';
import { LifeEvents } from './life-events.ts';
import { Moves, type MoveMessage } from './moves.ts';
import { Rebalancer } from './rebalancer.ts';

const RETRY_MS = 1000;

type RetiredMessage = Extract<WorkerMessage, { type: 'retired' }>;

export interface MovingParts {
  readonly config: FarmConfig;
  readonly counters: Counters;
  readonly log: Log;
  readonly guard: Guard;
  readonly places: Places;
}

export interface MovingHooks {
  /** Connections of these addresses have come to a life from another: see address-records.ts. */
  addressesMoved(from: number, to: number, payload: Buffer): void;
  /** Waiting sockets may be placed now. */
  hasRoom(): void;
  /** The farm neither starts nor stops. */
  isRunning(): boolean;
  /** It serves. */
  isReady(): boolean;
}

/** All that moves connections from one worker to another, and what it is told of workers. */
export class Moving {
  /** See Farm.changes. */
  readonly changes: Changes;
  readonly #moves: Moves;
  readonly #events = new LifeEvents();
  readonly #rebalancer: Rebalancer;
  readonly #places: Places;

  constructor(parts: MovingParts, hooks: MovingHooks) {
    const { config, counters, log, guard, places } = parts;
    this.#places = places;
    this.#moves = new Moves(config, counters, log, {
      addressesMoved: (from, to, payload) => hooks.addressesMoved(from, to, payload),
      paused: ({ index }, rows, pauseMs) => places.all[index]?.movePauses.record(pauseMs / 1000, rows),
    });
    const moves = this.#moves;
    this.#rebalancer = new Rebalancer({
      config,
      guard,
      moves,
      places,
      isQuiet: () => hooks.isRunning() && hooks.isReady() && !this.changes.hasCanary,
    });
    this.changes = new Changes({
      config,
      counters,
      log,
      guard,
      moves,
      places,
      events: this.#events,
      rebalancer: this.#rebalancer,
      pause: () => new Promise((resolve) => guard.after(RETRY_MS, 'a pause of a change', resolve)),
      hasRoom: () => hooks.hasRoom(),
      isRunning: () => hooks.isRunning(),
    });
  }

  /** Connections may be on their way: at neither worker. */
  get isUnderWay(): boolean {
    return this.#moves.areUnderWay;
  }

  workerReady(life: WorkerLife): void {
    this.#events.reported(life);
  }

  workerReported(life: WorkerLife): void {
    this.#events.reported(life);
  }

  /** It cannot start. */
  workerFailed(life: WorkerLife, reason: string): void {
    this.#events.failed(life, reason);
  }

  /** Its process is no more, or there was none. `lost`: connections that have died with it. */
  workerEnded(life: WorkerLife, lost: number): void {
    // First: what ends with it must know.
    this.changes.workerEnded(life, lost);
    this.#moves.workerEnded(life);
    this.#events.ended(life);
    const place = this.#places.all[life.index];
    if (place?.current === life) this.#rebalancer.refill(place);
  }

  workerSaid(life: WorkerLife, message: MoveMessage | RetiredMessage): void {
    if (message.type === 'retired') this.changes.workerRetired(message.closed);
    else this.#moves.workerSaid(life, message);
  }

  /** To be called several times a second. We were not running for `pauseMs` ourselves. */
  look(now: number, pauseMs: number): void {
    this.#moves.look(now, pauseMs);
    this.#rebalancer.look(now);
  }

  /** The farm drains: what is under way ends with its batch. */
  stop(): void {
    this.#moves.stop();
  }
}
