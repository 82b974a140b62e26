import type { ChangeKind, ChangeReport } from '../../api/changes.ts';
import type { MoveResult } from './moves.ts';
import { Pauses } from './pauses.ts';

/** What a change of the farm has moved so far. */
export class ChangeTally {
  readonly kind: ChangeKind;
  /** Places that are to be changed, and which of them is at it, from 1. */
  of = 0;
  worker = 0;
  /** Who is to have no connection in the end. */
  leaving: readonly { readonly connections: number }[] = [];
  readonly #pauses = new Pauses();
  readonly #startedAt = performance.now();
  /** Workers that died, by their index. */
  readonly #dead = new Set<number>();
  #moved = 0;
  #closed = 0;
  #lost = 0;

  constructor(kind: ChangeKind) {
    this.kind = kind;
  }

  readonly moved = (rows: number, pauseMs: number): void => {
    this.#moved += rows;
    this.#pauses.record(pauseMs, rows);
  };

  /** A move of it has ended. */
  ended({ closed, unsaid }: Pick<MoveResult, 'closed' | 'unsaid'>): void {
    this.#closed += closed;
    // They are not lost with the worker that died: some it no longer had, others have been closed and counted.
    this.#lost -= unsaid + closed;
  }

  /** A worker that retires has closed what could not move. */
  retired(closed: number): void {
    this.#closed += closed;
  }

  /** A worker died, and so many connections with it, as far as it has said. */
  died(worker: number, lost: number): void {
    if (lost === 0) return;
    this.#dead.add(worker);
    this.#lost += lost;
  }

  /** Which workers died with connections, in one sentence; undefined when nothing was lost. */
  get loss(): string | undefined {
    if (this.#lost <= 0) return undefined;
    const dead = [...this.#dead];
    const [who, whom] =
      dead.length === 1 ? [`Worker ${dead[0]}`, 'it'] : [`Workers ${dead.join(' and ')}`, 'them'];
    const connections = this.#lost === 1 ? 'one connection' : `${this.#lost} connections`;
    return `${who} died meanwhile, and ${connections} with ${whom}.`;
  }

  get report(): ChangeReport {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    return {
      kind: this.kind,
      moved: this.#moved,
      left: this.leaving.reduce((sum, { connections }) => sum + connections, 0),
      closed: this.#closed,
      lost: Math.max(0, this.#lost),
      rate: Math.round(this.#moved / Math.max(seconds, 0.001)),
      pauseP99Ms: Math.round(this.#pauses.p99Ms * 10) / 10,
      pauseMaxMs: Math.round(this.#pauses.maxMs * 10) / 10,
      worker: this.worker,
      of: this.of,
      seconds: Math.round(seconds * 10) / 10,
    };
  }
}
