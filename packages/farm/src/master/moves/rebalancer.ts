import type { FarmConfig } from '../../options/options.ts';
import type { Guard } from '../guard.ts';
import type { WorkerLife } from '../workers/worker-life.ts';
import type { WorkerPlace } from '../workers/worker-place.ts';
import { evenLives, isVain, loadOf } from './even.ts';
import type { Moves } from './moves.ts';
import type { Places } from '../workers/places.ts';
import {
  afterRelief,
  isFull,
  nextRebalance,
  REBALANCE_BEGINNING,
  type RebalanceLoad,
  type RebalanceState,
} from './rebalance-steps.ts';

/** How often it looks. */
const LOOK_MS = 1000;
/** A worker that was started again is filled when it has lived for so long: one that dies at once would take more with it. */
const REFILL_AFTER_MS = 5000;
/** It is filled that much faster than connections are evened out. */
const REFILL_FACTOR = 10;
const MINUTE_MS = 60_000;
/** Where a move has brought nothing, as with connections over TLS, it rests twice as long before each further one, up to so long. */
const MAX_REST_MS = MINUTE_MS;

export interface RebalancerParts {
  readonly config: Pick<FarmConfig, 'rebalanceSkew' | 'rebalanceRate' | 'maxMovesPerMinute'>;
  readonly guard: Guard;
  readonly moves: Pick<Moves, 'begin' | 'stop'>;
  readonly places: Places;
  /** The farm runs, is ready, and nothing else moves connections. */
  isQuiet(): boolean;
}

/**
 * Moves connections without being asked to: to workers that were started again, and, with `rebalanceSkew`, from the fullest to
 * the emptiest. It moves from one worker to one other at a time, `rebalanceRate` each second and `maxMovesPerMinute` in a minute, and
 * never while a change of the farm is under way.
 */
export class Rebalancer {
  readonly #parts: RebalancerParts;
  #state: RebalanceState = REBALANCE_BEGINNING;
  /** Places whose worker has died: which life is there now, and since when it has been ready. */
  readonly #refills = new Map<
    WorkerPlace,
    { readonly life: WorkerLife; readonly since: number } | undefined
  >();
  #lastLook = 0;
  #minuteBegan = 0;
  #movedInMinute = 0;
  /** Moves that brought nothing, one after the other. */
  #vainMoves = 0;
  #restsUntil = 0;
  #isPaused = false;
  #move: Promise<void> | undefined;

  constructor(parts: RebalancerParts) {
    this.#parts = parts;
  }

  /** The worker of a place has died: the next one is to be filled. */
  refill(place: WorkerPlace): void {
    this.#refills.set(place, undefined);
  }

  /** To be called several times a second. */
  look(now: number): void {
    if (now - this.#lastLook < LOOK_MS) return;
    this.#lastLook = now;
    if (this.#isPaused || this.#move !== undefined || !this.#parts.isQuiet()) return;
    const { rebalanceSkew, rebalanceRate, maxMovesPerMinute } = this.#parts.config;
    if (now - this.#minuteBegan >= MINUTE_MS) {
      this.#minuteBegan = now;
      this.#movedInMinute = 0;
    }
    const lives = evenLives(this.#parts);
    const loads = this.#loadsOf(lives, now);
    const { state, transfer } = nextRebalance(this.#state, loads, now, rebalanceSkew);
    this.#state = state;
    const source = lives[transfer?.from ?? -1];
    const target = lives[transfer?.to ?? -1];
    if (transfer === undefined || source === undefined || target === undefined) return;
    const rate = transfer.isRefill ? rebalanceRate * REFILL_FACTOR : rebalanceRate;
    const rows = Math.min(transfer.rows, rate, maxMovesPerMinute - this.#movedInMinute);
    if (rows > 0 && now >= this.#restsUntil) this.#begin(source, target, rows);
  }

  /** Resolves when nothing moves any more. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    if (this.#move === undefined) return;
    this.#parts.moves.stop();
    await this.#move;
  }

  resume(): void {
    this.#isPaused = false;
    this.#state = REBALANCE_BEGINNING;
  }

  #begin(source: WorkerLife, target: WorkerLife, rows: number): void {
    const move = async (): Promise<void> => {
      try {
        const result = await this.#parts.moves.begin({ source, target, rows, reason: 'rebalance' });
        this.#movedInMinute += result.moved;
        this.#vainMoves = isVain(result) ? this.#vainMoves + 1 : 0;
        this.#restsUntil = this.#lastLook + Math.min(MAX_REST_MS, LOOK_MS * 2 ** this.#vainMoves);
        this.#state = afterRelief(this.#state, result.moved);
      } catch (error) {
        this.#parts.guard.failed('a rebalance', error);
      } finally {
        this.#move = undefined;
      }
    };
    this.#move = move();
  }

  #loadsOf(lives: readonly WorkerLife[], now: number): RebalanceLoad[] {
    const refilled = this.#refilled(now);
    const loads = lives.map((life) => ({
      ...loadOf(life),
      id: life.id,
      isLagging: life.isLagging,
      isRefilled: refilled.has(life),
    }));
    for (const [index, life] of lives.entries()) {
      const load = loads[index];
      const place = refilled.get(life);
      if (place !== undefined && load !== undefined && isFull(load, loads)) this.#refills.delete(place);
    }
    return loads;
  }

  /** The lives that are to be filled now, and their places. */
  #refilled(now: number): Map<WorkerLife, WorkerPlace> {
    const refilled = new Map<WorkerLife, WorkerPlace>();
    for (const [place, known] of this.#refills) {
      const { current } = place;
      if (!this.#parts.places.all.includes(place)) this.#refills.delete(place);
      else if (current?.state !== 'ready') this.#refills.set(place, undefined);
      else if (known?.life !== current) this.#refills.set(place, { life: current, since: now });
      else if (now - known.since >= REFILL_AFTER_MS) refilled.set(current, place);
    }
    return refilled;
  }
}
