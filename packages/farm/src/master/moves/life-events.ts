import type { WorkerLife } from '../workers/worker-life.ts';

type WatchedLife = Pick<WorkerLife, 'report' | 'state'>;

/** How a life has begun. */
export type Beginning =
  | { readonly isServing: true }
  /** `reason`: why not, as far as it is known. */
  | { readonly isServing: false; readonly reason: string };

/** What a change of the farm waits for in the lives of workers. Everything that it is asked for comes, or the end of the life does. */
export class LifeEvents {
  readonly #beginnings = new Map<WatchedLife, ((beginning: Beginning) => void)[]>();
  readonly #ends = new Map<WatchedLife, (() => void)[]>();
  readonly #failures = new WeakMap<WatchedLife, string>();

  /** Resolves when it is ready and its broker is, too, or when it is over. */
  beginning(life: WatchedLife): Promise<Beginning> {
    if (isOver(life)) return Promise.resolve({ isServing: false, reason: this.#reasonOf(life) });
    return new Promise((resolve) => {
      this.#beginnings.set(life, [...(this.#beginnings.get(life) ?? []), resolve]);
      this.reported(life);
    });
  }

  /** Resolves when its process is no more. */
  end(life: WatchedLife): Promise<void> {
    // Nobody would say so again.
    if (isOver(life)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#ends.set(life, [...(this.#ends.get(life) ?? []), resolve]);
    });
  }

  /** It has said how it is. */
  reported(life: WatchedLife): void {
    if (life.state !== 'ready' || life.report?.broker.state !== 'ready') return;
    this.#begun(life, { isServing: true });
  }

  /** It cannot start, and says why; its end follows. */
  failed(life: WatchedLife, reason: string): void {
    // Behind it stands a stack, which the log has.
    this.#failures.set(life, reason.split('\n', 1)[0] ?? reason);
  }

  /** Its process is no more, or there was none. */
  ended(life: WatchedLife): void {
    this.#begun(life, { isServing: false, reason: this.#reasonOf(life) });
    for (const resolve of this.#ends.get(life) ?? []) resolve();
    this.#ends.delete(life);
  }

  #reasonOf(life: WatchedLife): string {
    return this.#failures.get(life) ?? 'it exited before it was ready; see its output';
  }

  #begun(life: WatchedLife, beginning: Beginning): void {
    const waiting = this.#beginnings.get(life) ?? [];
    this.#beginnings.delete(life);
    for (const resolve of waiting) resolve(beginning);
  }
}

function isOver({ state }: WatchedLife): boolean {
  return state === 'failed' || state === 'stopped';
}
