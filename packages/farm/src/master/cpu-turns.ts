import type { Counters } from '../counters.ts';
import type { Guard } from './guard.ts';
import type { SupervisedWorker } from './supervised-worker.ts';

type TurnTaker = Pick<SupervisedWorker, 'cpu' | 'send'>;

/** Of `broadcastTurnMs`, until the next worker has its turn, whatever the one before it does. */
const PATIENCE = 2;

/** The workers of one CPU. */
interface Turns {
  holder: TurnTaker | undefined;
  /** In the order in which they asked. */
  readonly waiting: TurnTaker[];
  expiry: NodeJS.Timeout | undefined;
}

/**
 * Who may broadcast to a large channel, where several workers share a CPU: one of them at a time, in the order in which
 * they asked. All at once they would be no faster, each taking the CPU and its caches from the others, and whoever waits
 * for an answer of one of them would wait for all of them.
 *
 * It is a courtesy, not a lock: a worker that does not say when its turn is over delays the others of its CPU by twice
 * `broadcastTurnMs`, and one that is gone by nothing.
 */
export class CpuTurns {
  readonly #turnMs: number;
  readonly #counters: Counters;
  readonly #guard: Guard;
  readonly #byCpu = new Map<number | null, Turns>();

  constructor(turnMs: number, counters: Counters, guard: Guard) {
    this.#turnMs = turnMs;
    this.#counters = counters;
    this.#guard = guard;
  }

  /** If it has the turn, that is over: it goes to the end. */
  ask(worker: TurnTaker): void {
    const turns = this.#turnsOf(worker);
    if (turns.holder === worker) turns.holder = undefined;
    turns.waiting.push(worker);
    if (turns.holder === undefined) this.#next(turns);
  }

  /** It has nothing left to send, or is gone. */
  leave(worker: TurnTaker): void {
    const turns = this.#turnsOf(worker);
    const index = turns.waiting.indexOf(worker);
    if (index >= 0) turns.waiting.splice(index, 1);
    if (turns.holder === worker) this.#next(turns);
  }

  stop(): void {
    for (const { expiry } of this.#byCpu.values()) clearTimeout(expiry);
    this.#byCpu.clear();
  }

  #turnsOf({ cpu }: TurnTaker): Turns {
    const known = this.#byCpu.get(cpu);
    if (known !== undefined) return known;
    const added: Turns = { holder: undefined, waiting: [], expiry: undefined };
    this.#byCpu.set(cpu, added);
    return added;
  }

  #next(turns: Turns): void {
    clearTimeout(turns.expiry);
    turns.holder = turns.waiting.shift();
    if (turns.holder === undefined) return;
    turns.expiry = this.#guard.after(this.#turnMs * PATIENCE, 'ending a turn', () => {
      this.#counters.add('broadcast_turns_expired');
      this.#next(turns);
    });
    turns.holder.send({ type: 'turn' });
  }
}
