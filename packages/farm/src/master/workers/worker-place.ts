import { Histogram } from '../../api/histograms.ts';
import type { WorkerInfo } from '../../api/info.ts';
import { Backoff } from './backoff.ts';
import type { LifeOwner } from './life-owner.ts';
import type { Lives } from './lives.ts';
import type { SupervisionHooks } from './supervision-hooks.ts';
import type { SupervisionParts } from './supervision-parts.ts';
import type { WorkerFacts } from './worker-facts.ts';
import { PlaceFigures } from './place-figures.ts';
import { WorkerLife } from './worker-life.ts';

/**
 * One place in the farm for a worker, over all its lives: a CPU, what is counted over all of them, and a new life when the
 * one before it has died, after a delay that grows with each death.
 *
 * For the time of a move there are more lives. The current one gets the sockets, the others none: they are only being tried,
 * or are about to go. When the current one dies, another that is ready takes over; none of the others is started again.
 */
export class WorkerPlace implements LifeOwner<WorkerLife> {
  readonly index: number;
  readonly handOffs = new Histogram('handoff_duration_seconds');
  readonly movePauses = new Histogram('move_pause_seconds');
  /** What all its lives have counted and measured. */
  readonly figures = new PlaceFigures({
    handoff_duration_seconds: this.handOffs,
    move_pause_seconds: this.movePauses,
  });
  readonly #facts: () => WorkerFacts;
  readonly #parts: SupervisionParts;
  readonly #hooks: SupervisionHooks<WorkerLife>;
  readonly #all: Lives;
  readonly #backoff = new Backoff();
  #current: WorkerLife | undefined;
  #others: readonly WorkerLife[] = [];
  #restarts = 0;
  #restartTimer: NodeJS.Timeout | undefined;
  #isStopping = false;
  /** Whether its current life gets sockets. */
  #isOpen = true;

  /** `all`: those of all places. */
  constructor(
    index: number,
    facts: () => WorkerFacts,
    parts: SupervisionParts,
    hooks: SupervisionHooks<WorkerLife>,
    all: Lives,
  ) {
    this.index = index;
    this.#facts = facts;
    this.#parts = parts;
    this.#hooks = hooks;
    this.#all = all;
  }

  /** Those that are not over, and the current one until another takes its place. */
  get lives(): readonly WorkerLife[] {
    return this.#current === undefined ? this.#others : [this.#current, ...this.#others];
  }

  /** Which gets the sockets. Undefined before the start. */
  get current(): WorkerLife | undefined {
    return this.#current;
  }

  /** All that are not over, but the current one. */
  get others(): readonly WorkerLife[] {
    return this.#others;
  }

  get workerCount(): number {
    return this.#all.placeCount;
  }

  get state(): WorkerInfo['state'] {
    const current = this.#current?.state ?? 'starting';
    if (!this.#isStopping) return current;
    if (!this.lives.some(({ hasProcess }) => hasProcess)) return 'stopped';
    // The current one may have ended before another.
    return this.#current?.hasProcess === true ? current : 'draining';
  }

  get info(): WorkerInfo {
    const current = this.#current;
    return {
      worker: this.index,
      pid: current?.pid ?? 0,
      cpu: current?.pinnedTo ?? null,
      state: this.state,
      ...this.figures.sizes,
      capacity: current?.fullCapacity ?? 0,
      restarts: this.#restarts,
    };
  }

  /** Starts a life. Never throws: what prevents it is a failed start, and tried again. */
  start(): void {
    this.#restartTimer = undefined;
    const last = this.#current;
    // Its id is free again.
    this.#use(undefined, this.#others);
    last?.figures.end();
    const life = this.#newLife(last?.fullCapacity ?? 0);
    life.admits = this.#isOpen ? always : never;
    this.#use(life, this.#others);
    life.start();
  }

  /** Starts one more life, which gets no sockets. Undefined when the place is about to go. */
  startOther(): WorkerLife | undefined {
    if (this.#isStopping) return undefined;
    const life = this.#newLife(0);
    life.admits = never;
    this.#use(this.#current, [...this.#others, life]);
    life.start();
    return life;
  }

  /** One of the others gets the sockets from now on, and the current one none. */
  succeed(life: WorkerLife): void {
    if (life === this.#current) return;
    const former = this.#current;
    const others = this.#others.filter((other) => other !== life);
    life.admits = this.#isOpen ? always : never;
    if (former?.hasProcess === true) {
      former.admits = never;
      others.push(former);
    } else {
      former?.figures.end();
      clearTimeout(this.#restartTimer);
      this.#restartTimer = undefined;
    }
    this.#use(life, others);
  }

  /** None of its lives gets sockets any more, nor one that takes their place. */
  close(): void {
    this.#isOpen = false;
    for (const life of this.lives) life.admits = never;
  }

  /** The current one gets sockets again. */
  open(): void {
    this.#isOpen = true;
    if (this.#current !== undefined) this.#current.admits = always;
  }

  /** Kills a life that is stuck, and starts one when nothing else does. The master was not running for `pauseMs` before. */
  checkLiveness(now: number, pauseMs: number): void {
    // Something has failed that was to start it again.
    const isForsaken = this.#current?.hasProcess !== true && this.#restartTimer === undefined;
    if (isForsaken && !this.#isStopping) this.#startAfter(0);
    for (const life of this.lives) life.checkLiveness(now, pauseMs);
  }

  /** No life is started here any more. */
  giveUp(): void {
    this.#isStopping = true;
    clearTimeout(this.#restartTimer);
  }

  /** Graceful: its worker exits when its connections have ended. */
  drain(drainMs: number): void {
    this.giveUp();
    // One that retires is on its way already.
    for (const life of this.lives) if (life.state !== 'draining') life.drain(drainMs);
  }

  /** Forceful. */
  stop(): void {
    this.giveUp();
    for (const life of this.lives) life.stop();
  }

  lifeNotForked(life: WorkerLife, error: NodeJS.ErrnoException): void {
    const { code, message: reason } = error;
    const isTriedAgain = life === this.#current && !this.#isStopping;
    const delayMs = isTriedAgain ? this.#startAfter(0) : undefined;
    this.#parts.log.error({ worker: this.index, code, reason, delayMs }, 'fork failed');
    this.#drop(life);
  }

  lifeEnded(life: WorkerLife, readyMs: number): void {
    this.#drop(life);
    if (this.#isStopping || life !== this.#current) return;
    const successor = this.#others.findLast(({ state }) => state === 'ready');
    if (successor !== undefined) {
      this.succeed(successor);
      return;
    }
    const delayMs = this.#startAfter(readyMs);
    this.#restarts++;
    this.#parts.counters.add('worker_restarts');
    this.#parts.log.info({ worker: this.index, delayMs }, 'starting worker again');
  }

  /** The current one stays until another takes its place: while a worker is started again, new sockets wait for it. */
  #drop(life: WorkerLife): void {
    if (life === this.#current) return;
    this.#use(
      this.#current,
      this.#others.filter((other) => other !== life),
    );
  }

  #newLife(capacity: number): WorkerLife {
    const id = this.#all.nextId();
    const life = new WorkerLife(id, this, this.#facts(), this.#parts, this.#hooks, capacity);
    this.figures.begin(life.figures);
    return life;
  }

  #use(current: WorkerLife | undefined, others: readonly WorkerLife[]): void {
    this.#current = current;
    this.#others = others;
    this.#all.changed();
  }

  #startAfter(readyMs: number): number {
    const delayMs = this.#backoff.next(readyMs);
    this.#restartTimer = this.#parts.guard.after(delayMs, 'starting a worker', () => this.start());
    return delayMs;
  }
}

function always(): boolean {
  return true;
}

function never(): boolean {
  return false;
}
