import type { LogFields } from '../../api/log.ts';
import { Silence } from '../workers/silence.ts';
import { mainThreadTimes, type ThreadTimes } from '../workers/thread-times.ts';

/** A life whose death another one asks for. */
export interface CondemnedLife {
  readonly pid: number;
  kill(reason: string, facts?: LogFields): void;
}

/**
 * Lives whose death the other side of a move has asked for, because they did not answer in time. They are killed when they are
 * themselves to blame for that, for longer than `limitMs`: a worker that has no CPU (the machine is busy) answers later, and its death would
 * cost all its connections. If it answers after all, the move goes on to its end.
 */
export class Condemned {
  readonly #limitMs: number;
  readonly #timesOf: (pid: number) => ThreadTimes | undefined;
  readonly #lives = new Map<number, { readonly life: CondemnedLife; readonly silence: Silence }>();

  constructor(
    limitMs: number,
    timesOf: (pid: number) => ThreadTimes | undefined = (pid) => mainThreadTimes(pid),
  ) {
    this.#limitMs = limitMs;
    this.#timesOf = timesOf;
  }

  /** It has not answered the other side of this move. */
  add(move: number, life: CondemnedLife, now: number): void {
    const silence = new Silence(now, () => this.#timesOf(life.pid));
    this.#lives.set(move, { life, silence });
  }

  /** The move is over. */
  remove(move: number): void {
    this.#lives.delete(move);
  }

  /** To be called several times a second. We were not running for `pauseMs` ourselves. */
  look(now: number, pauseMs = 0): void {
    for (const [move, { life, silence }] of this.#lives) {
      if (pauseMs > 0) silence.forgive(now, pauseMs);
      silence.look(now, undefined);
      const { silentMs } = silence.ofItsOwn(now);
      if (silentMs <= this.#limitMs) continue;
      life.kill('it does not answer in a move of connections', { move, silentMs: Math.round(silentMs) });
    }
  }
}
