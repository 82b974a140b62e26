import type { WorkerLife } from '../workers/worker-life.ts';
import type { WorkerPlace } from '../workers/worker-place.ts';
import type { ChangeParts } from './change-parts.ts';
import type { ChangeTally } from './change-tally.ts';
import type { MoveResult } from './moves.ts';
import { missingApps } from './missing-apps.ts';
import {
  nextReloadStep,
  RELOAD_BEGINNING,
  RELOAD_OF_CANARY,
  type ReloadAction,
  type ReloadEvent,
  type ReloadState,
  type ReloadStep,
} from './reload-steps.ts';
import { retireLife } from './retire-life.ts';

const STOPPING = 'The farm is stopping.';

/** Replaces the worker of one place: does what reload-steps.ts decides, and tells it what comes of that. */
export class PlaceReload {
  readonly #place: WorkerPlace;
  readonly #parts: ChangeParts;
  readonly #tally: ChangeTally;
  readonly #old: WorkerLife;
  #new: WorkerLife | undefined;
  #state: ReloadState = RELOAD_BEGINNING.state;
  #move: Promise<MoveResult> | undefined;
  #probation: NodeJS.Timeout | undefined;
  #onEnd: (reason: string | undefined) => void = () => undefined;

  /** `old`: the life that is to go; it is ready. */
  constructor(place: WorkerPlace, old: WorkerLife, parts: ChangeParts, tally: ChangeTally) {
    this.#place = place;
    this.#old = old;
    this.#parts = parts;
    this.#tally = tally;
  }

  /**
   * `canary`: a life that serves already, to which everything moves. Resolves when the old life is gone, to the new one; or, when
   * it stops before, to the reason.
   */
  async run(canary?: WorkerLife): Promise<WorkerLife | string> {
    this.#parts.guard.wait(this.#parts.events.end(this.#old), 'the end of a worker', () =>
      this.#happened({ type: 'oldDied' }),
    );
    const reason = await new Promise<string | undefined>((resolve) => {
      this.#onEnd = resolve;
      if (canary !== undefined) this.#use(canary);
      this.#step(canary === undefined ? RELOAD_BEGINNING : RELOAD_OF_CANARY);
    });
    clearTimeout(this.#probation);
    // The one that lives may still be taking rows back.
    await this.#move;
    return reason ?? this.#new ?? STOPPING;
  }

  #happened(event: ReloadEvent): void {
    this.#step(nextReloadStep(this.#state, event));
  }

  #step({ state, actions }: ReloadStep): void {
    const before = this.#state.step;
    this.#state = state;
    for (const action of actions) this.#act(action);
    if (state.step === before) return;
    if (state.step === 'done') this.#onEnd(undefined);
    else if (state.step === 'stopped') this.#onEnd(state.reason);
  }

  #act(action: ReloadAction): void {
    switch (action.type) {
      case 'start':
        this.#start();
        return;
      case 'move':
        this.#beginMove(action.rows);
        return;
      case 'wait':
        this.#probation = this.#parts.guard.after(
          this.#parts.config.probationMs,
          'the end of a probation',
          () => this.#happened({ type: 'probationOver' }),
        );
        return;
      case 'succeed':
        if (this.#new !== undefined) this.#place.succeed(this.#new);
        this.#parts.hasRoom();
        return;
      case 'keepOld':
        this.#place.succeed(this.#old);
        this.#parts.hasRoom();
        return;
      case 'retire':
        void retireLife(this.#old, this.#parts);
        return;
      case 'dismiss':
        if (this.#new?.connections === 0) void retireLife(this.#new, this.#parts);
        return;
    }
  }

  #start(): void {
    const life = this.#place.startOther();
    if (life === undefined) {
      this.#step({ state: { ...this.#state, step: 'stopped', reason: STOPPING }, actions: [] });
      return;
    }
    this.#use(life);
    this.#parts.guard.wait(this.#parts.events.beginning(life), 'the start of a worker', async (beginning) => {
      const missing = beginning.isServing ? await missingApps(this.#old, life) : [];
      // It may have died while the old one was asked.
      if (life.hasProcess && beginning.isServing) this.#happened({ type: 'serving', missing });
      else this.#happened({ type: 'newDied', reason: beginning.isServing ? 'it died' : beginning.reason });
    });
  }

  #use(life: WorkerLife): void {
    this.#new = life;
    this.#parts.guard.wait(this.#parts.events.end(life), 'the end of a worker', () => {
      if (this.#new === life && this.#state.step !== 'starting') {
        this.#happened({ type: 'newDied', reason: 'it died' });
      }
    });
  }

  #beginMove(rows: number | 'all'): void {
    const source = this.#old;
    const target = this.#new;
    if (target === undefined) return;
    const { moves, guard, pause } = this.#parts;
    const isAgain = this.#state.moves > 1;
    const move = async (): Promise<MoveResult> => {
      if (isAgain) await pause();
      return moves.begin({ source, target, rows, reason: 'reload', onMoved: this.#tally.moved });
    };
    this.#move = move();
    guard.wait(this.#move, 'a move', (result) => {
      this.#tally.ended(result);
      this.#happened({ type: 'moveEnded', result });
    });
  }
}
