import type { ChangeKind, ChangeReport } from '../../api/changes.ts';
import { Pauses } from './pauses.ts';

/** What a change of the farm has moved so far. */
export class ChangeTally {
  readonly kind: ChangeKind;
  /** Places that are to be changed, and which of them is at it, from 1. */
  of = 0;
  worker = 0;
  closed = 0;
  /** Who is to have no connection in the end. */
  leaving: readonly { readonly connections: number }[] = [];
  readonly #pauses = new Pauses();
  readonly #startedAt = performance.now();
  #moved = 0;

  constructor(kind: ChangeKind) {
    this.kind = kind;
  }

  readonly moved = (rows: number, pauseMs: number): void => {
    this.#moved += rows;
    this.#pauses.record(pauseMs, rows);
  };

  get report(): ChangeReport {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    return {
      kind: this.kind,
      moved: this.#moved,
      left: this.leaving.reduce((sum, { connections }) => sum + connections, 0),
      closed: this.closed,
      rate: Math.round(this.#moved / Math.max(seconds, 0.001)),
      pauseP99Ms: Math.round(this.#pauses.p99Ms * 10) / 10,
      pauseMaxMs: Math.round(this.#pauses.maxMs * 10) / 10,
      worker: this.worker,
      of: this.of,
      seconds: Math.round(seconds * 10) / 10,
    };
  }
}
