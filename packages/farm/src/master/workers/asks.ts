import type { AskAnswer } from '../../link/messages.ts';
import type { Guard } from '../guard.ts';

const ASK_TIMEOUT_MS = 1000;

/** Questions to one worker that wait for their answers. Each has one within a second: the worker's, or undefined. */
export class Asks {
  readonly #guard: Guard;
  readonly #waiting = new Map<number, (answer: AskAnswer | undefined) => void>();
  #last = 0;

  constructor(guard: Guard) {
    this.#guard = guard;
  }

  /** `send` sends the question under a new number. */
  ask(send: (id: number) => void): Promise<AskAnswer | undefined> {
    const id = ++this.#last;
    return new Promise((resolve) => {
      const answered = (answer: AskAnswer | undefined): void => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        resolve(answer);
      };
      const timer = this.#guard.after(ASK_TIMEOUT_MS, 'an answer that is late', () => answered(undefined));
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
