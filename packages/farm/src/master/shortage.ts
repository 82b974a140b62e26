import type { Guard } from './guard.ts';

/** A worker without descriptors would return the next hand-off just as fast: the two would do nothing else. */
export const SHORTAGE_PAUSE_MS = 100;

/** A pause in which a worker that has no descriptor left is given no sockets; others get them, or they wait. */
export class Shortage {
  readonly #guard: Guard;
  readonly #onOver: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(guard: Guard, onOver: () => void) {
    this.#guard = guard;
    this.#onOver = onOver;
  }

  get isOn(): boolean {
    return this.#timer !== undefined;
  }

  begin(): void {
    this.#timer ??= this.#guard.after(SHORTAGE_PAUSE_MS, 'the end of a shortage', () => {
      this.#timer = undefined;
      this.#onOver();
    });
  }

  /** The worker is gone. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
