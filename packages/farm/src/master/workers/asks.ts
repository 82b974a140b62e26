import type { AskAnswer } from '../../link/questions.ts';
import type { Guard } from '../guard.ts';

const USUAL_TIMEOUT_MS = 1000;

/** Questions to one worker that wait for their answers. Each has one in time: the worker's, or undefined. */
export class Asks {
  readonly #guard: Guard;
  readonly #waiting = new Map<number, (answer: AskAnswer | undefined) => void>();
  #last = 0;

  constructor(guard: Guard) {
    this.#guard = guard;
  }

  /** `send` sends the question under a new number. */
  ask(send: (id: number) => void, timeoutMs = USUAL_TIMEOUT_MS): Promise<AskAnswer | undefined> {
    const id = ++this.#last;
    return new Promise((resolve) => {
      const answered = (answer: AskAnswer | undefined): void => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        resolve(answer);
      };
      const timer = this.#guard.after(timeoutMs, 'an answer that is late', () => answered(undefined));
      this.#waiting.set(id, answered);
      send(id);
    });
  }

  answered(id: number, answer: AskAnswer): void {
    this.#waiting.get(id)?.(answer);
  }

  /** The worker is gone. */
  end(): void {
    for (const answered of this.#waiting.values()) answered(undefined);
  }
}
