import type { Log } from '../../api/log.ts';
import type { Guard } from '../guard.ts';

/** A worker without descriptors would return the next hand-off just as fast: the two would do nothing else. */
const PAUSE_MS = 100;

/** A pause in which a worker that has no descriptor left is given no sockets; others get them, or they wait. */
export class Shortage {
  readonly #worker: number;
  readonly #guard: Guard;
  readonly #log: Log;
  readonly #onOver: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(worker: number, guard: Guard, log: Log, onOver: () => void) {
    this.#worker = worker;
    this.#guard = guard;
    this.#log = log;
    this.#onOver = onOver;
  }

  get isOn(): boolean {
    return this.#timer !== undefined;
  }

  begin(): void {
    if (this.isOn) return;
    this.#log.warn({ worker: this.#worker, pauseMs: PAUSE_MS }, 'worker has no descriptor left; pausing');
    this.#timer = this.#guard.after(PAUSE_MS, 'the end of a shortage', () => {
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
