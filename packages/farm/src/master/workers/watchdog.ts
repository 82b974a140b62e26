import type { WorkerInfo } from '../../api/info.ts';
import type { LogFields } from '../../api/log.ts';
import { Silence, type Debt } from './silence.ts';
import { StackRequests } from './stack-requests.ts';
import type { SupervisionParts } from './supervision-parts.ts';
import { mainThreadTimes, stateInWords, waitsIn } from './thread-times.ts';
import { whereStuck } from './where-stuck.ts';
import type { WorkerProcess } from './worker-process.ts';

/** A worker that exits is seen by the end of its link first, and reaped a moment later. */
const EXIT_MS = 1000;
/** A worker that is starved again and again is one line of the log in this time. */
const WARN_EVERY_MS = 60_000;

/** One process that is watched. */
interface Life {
  readonly pid: number;
  readonly startedAt: number;
  readonly silence: Silence;
  readonly stacks: StackRequests;
  state: WorkerInfo['state'];
  linkEnd: { readonly at: number; readonly reason: string } | undefined;
  isDiagnosed: boolean;
}

/**
 * Decides when a worker that does not answer is to be killed, and finds out where it is stuck.
 *
 *     answering ─► late ─► overdue: it is asked for its stack ─► killed
 *         ▲          ├─► starved: one line of the log ──┐  │
 *         └──────────┴──────────────────────────────────┴──┘  when it answers after all
 *
 * Late is what {@link Silence} measures. Overdue is one that is itself to blame for `workerTimeoutMs` without a word, or
 * for `handOffTimeoutMs` without an acknowledgement.
 */
export class Watchdog {
  readonly #worker: number;
  readonly #parts: SupervisionParts;
  readonly #onOverdue: (reason: string, facts: LogFields) => void;
  #life: Life | undefined;
  #warnedAt = Number.NEGATIVE_INFINITY;

  /** `onOverdue` is called when the worker is to be killed now, with facts for the log; more than once if it lives on. */
  constructor(
    worker: number,
    parts: SupervisionParts,
    onOverdue: (reason: string, facts: LogFields) => void,
  ) {
    this.#worker = worker;
    this.#parts = parts;
    this.#onOverdue = onOverdue;
  }

  /** Its link has ended: it takes nothing any more. */
  get isUnreachable(): boolean {
    return this.#life?.linkEnd !== undefined;
  }

  /** It has a process since `now`. */
  begin({ child, stacks }: WorkerProcess, now: number): void {
    const pid = child.pid ?? 0;
    this.#life = {
      pid,
      startedAt: now,
      silence: new Silence(now, () => mainThreadTimes(pid)),
      stacks: new StackRequests(stacks),
      state: 'starting',
      linkEnd: undefined,
      isDiagnosed: false,
    };
  }

  heard(now: number): void {
    this.#life?.silence.heard(now);
  }

  /** We were not running for `pauseMs` ourselves. */
  forgive(now: number, pauseMs: number): void {
    this.#life?.silence.forgive(now, pauseMs);
  }

  linkEnded(now: number, reason: string): void {
    if (this.#life !== undefined) this.#life.linkEnd ??= { at: now, reason };
  }

  /** To be called several times a second. `oldestSentAt` is that of the oldest hand-off that it has not acknowledged. */
  look(now: number, state: WorkerInfo['state'], oldestSentAt: number | undefined): void {
    const life = this.#life;
    if (life === undefined) return;
    life.state = state;
    life.silence.look(now, oldestSentAt);
    if (life.linkEnd !== undefined && now - life.linkEnd.at > EXIT_MS) {
      this.#onOverdue(`its control link ended: ${life.linkEnd.reason}`, {});
    } else if (this.#overdue(life, life.silence.ofItsOwn(now), now) === undefined) {
      this.#warnIfStarved(life, now);
    } else if (!life.isDiagnosed) {
      life.isDiagnosed = true;
      this.#diagnose(life).catch((error: unknown) => this.#parts.guard.failed('a stuck worker', error));
    }
  }

  /** Its heap is full: V8 ends it. */
  outOfHeap(): void {
    const { config, log, counters } = this.#parts;
    counters.add('worker_heap_exhaustions');
    log.error(
      { worker: this.#worker, pid: this.#life?.pid, workerHeapMb: config.workerHeapMb },
      'worker has used up its JavaScript heap; V8 ends it',
    );
  }

  /** Its process has ended. */
  end(): void {
    this.#life?.stacks.end();
    this.#life = undefined;
  }

  #overdue({ state, startedAt }: Life, { silentMs, handOffMs }: Debt, now: number): string | undefined {
    const { handOffTimeoutMs, appStartTimeoutMs, workerTimeoutMs } = this.#parts.config;
    if (handOffMs > handOffTimeoutMs) return 'it left a hand-off unacknowledged';
    if (state === 'starting' && now - startedAt > appStartTimeoutMs) {
      return `its app was not loaded within ${appStartTimeoutMs} ms (appStartTimeoutMs)`;
    }
    const isSilent = workerTimeoutMs > 0 && state === 'ready' && silentMs > workerTimeoutMs;
    return isSilent ? 'it was silent' : undefined;
  }

  /** By the clock it would be overdue, and is spared. */
  #warnIfStarved(life: Life, now: number): void {
    const isOverdue = this.#overdue(life, life.silence.inAll(now), now) !== undefined;
    if (!isOverdue || now - this.#warnedAt < WARN_EVERY_MS) return;
    this.#warnedAt = now;
    const { log, counters } = this.#parts;
    if (life.silence.thread?.state === 't') {
      log.warn(this.#facts(life, now), 'worker is held by a debugger; it is left alone');
      return;
    }
    counters.add('worker_starvations');
    log.warn(this.#facts(life, now), 'worker gets too little of a CPU to answer; it is left alone');
  }

  /** Asks it where it is, and says that it is overdue if it still is afterwards. */
  async #diagnose(life: Life): Promise<void> {
    const facts = { ...this.#facts(life, performance.now()), ...(await where(life)) };
    life.isDiagnosed = false;
    if (life !== this.#life) return;
    const now = performance.now();
    const reason = this.#overdue(life, life.silence.ofItsOwn(now), now);
    if (reason === undefined) this.#parts.log.warn(facts, 'worker was stuck; it goes on');
    else this.#onOverdue(reason, facts);
  }

  /** What is known of it without its help. */
  #facts({ pid, silence }: Life, now: number): LogFields {
    const { silentMs, handOffMs } = silence.inAll(now);
    const { thread } = silence;
    return {
      worker: this.#worker,
      pid,
      silentMs: Math.round(silentMs),
      handOffMs: Math.round(handOffMs),
      ...(thread && { thread: stateInWords(thread.state), cpuMs: thread.cpuMs }),
    };
  }
}

/** Its stack, or else the kernel's function that it waits in. */
async function where({ pid, silence, stacks }: Life): Promise<LogFields> {
  // A stopped process stops all its threads, that which answers, too.
  if (silence.thread?.state === 'T') return {};
  const stuck = whereStuck(await stacks.samples());
  if (stuck !== undefined) return { ...stuck };
  const name = waitsIn(pid);
  return name === undefined ? {} : { waitsIn: name };
}
