import { assertNever } from '../../link/assert-never.ts';
import { checkAnswer, checkReport } from '../../link/check-answer.ts';
import type { AppFacts, MasterMessage, WorkerMessage } from '../../link/messages.ts';
import type { WorkerReport } from '../../link/worker-report.ts';
import type { AskAnswer, Asked } from '../../link/questions.ts';
import type { WorkerInfo } from '../../api/info.ts';
import type { LogFields } from '../../api/log.ts';
import { Asks } from './asks.ts';
import type { AcceptedSocket, SocketRun } from '../entrance/hand-off.ts';
import { GivenSockets } from './given-sockets.ts';
import { Lag } from './lag.ts';
import type { LifeOwner } from './life-owner.ts';
import type { WorkerLoad } from '../entrance/placement.ts';
import type { SupervisionHooks } from './supervision-hooks.ts';
import type { SupervisionParts } from './supervision-parts.ts';
import { Watchdog } from './watchdog.ts';
import type { WorkerFacts } from './worker-facts.ts';
import { LifeFigures } from './place-figures.ts';
import { forkWorker, type WorkerProcess } from './worker-process.ts';

/**
 * One process of a worker, from its fork until it has been reaped. A {@link WorkerPlace} has one after the other, and two for
 * the time of a move. `id` is its own among those that live: whatever goes by worker inside of the master goes by it. Logs and
 * figures go by the place, `index`.
 *
 *     starting ─► ready ─► draining ─► stopped
 *        └─► failed ◄┘
 *
 * starting: forked, its apps are being loaded; failed at once when it cannot be forked. ready: it takes sockets.
 * draining: it closes its connections and takes none. failed: it died without being asked; what it had not acknowledged
 * has been given back. A worker that is silent, to hand-offs or altogether, is killed first and never bypassed: it might
 * have read what another is given.
 */
export class WorkerLife implements WorkerLoad {
  readonly id: number;
  readonly cpu: number | null;
  readonly figures = new LifeFigures();
  readonly #owner: LifeOwner<WorkerLife>;
  readonly #facts: WorkerFacts;
  /** When it last said that connections have ended, by performance.now(). */
  releasedAt = Number.NEGATIVE_INFINITY;
  /** Its apps. Empty until it is ready. */
  apps: readonly AppFacts[] = [];
  /** Whether it is to get sockets while it is ready. */
  admits: () => boolean = () => true;
  readonly #parts: SupervisionParts;
  readonly #hooks: SupervisionHooks<WorkerLife>;
  readonly #asks: Asks;
  readonly #sockets: GivenSockets;
  readonly #watchdog: Watchdog;
  readonly #lag: Lag;
  #state: WorkerInfo['state'] = 'starting';
  #process: WorkerProcess | undefined;
  #capacity: number;
  #pinnedTo: number | null = null;
  #readyAt: number | undefined;
  #isStopping = false;

  /** `capacity`: what it counts as until it says its own, that of the life before it. */
  constructor(
    id: number,
    owner: LifeOwner<WorkerLife>,
    facts: WorkerFacts,
    parts: SupervisionParts,
    hooks: SupervisionHooks<WorkerLife>,
    capacity: number,
  ) {
    const { config, log, counters, guard } = parts;
    this.id = id;
    this.#owner = owner;
    this.cpu = facts.cpu;
    this.#facts = facts;
    this.#parts = parts;
    this.#capacity = capacity;
    this.#asks = new Asks(guard);
    this.#sockets = new GivenSockets(this.index, parts, {
      acknowledged: (count, seconds) => {
        owner.handOffs.record(seconds, count);
        counters.add('handoffs', count);
        hooks.workerHasRoom();
      },
      returned: (sockets) => hooks.workerReturned(this, sockets),
      hasRoom: () => hooks.workerHasRoom(),
    });
    this.#lag = new Lag(this.index, config.workerLagMs, counters, log);
    this.#watchdog = new Watchdog(this.index, parts, (...why) => this.#overdue(...why));
    this.#hooks = hooks;
  }

  /** Of its place. */
  get index(): number {
    return this.#owner.index;
  }

  get state(): WorkerInfo['state'] {
    return this.#state;
  }

  get connections(): number {
    return this.#sockets.counts.connections;
  }

  /** For placement: one that is to get no sockets has no free place. */
  get capacity(): number {
    return this.admits() ? this.#capacity : Math.min(this.#capacity, this.connections);
  }

  /** The most that it takes. */
  get fullCapacity(): number {
    return this.#capacity;
  }

  get limited(): number {
    return this.#sockets.counts.limited;
  }

  get isLagging(): boolean {
    return this.#lag.isOn;
  }

  get room(): number {
    const takesSockets = this.#state === 'ready' && !this.#watchdog.isUnreachable && this.admits();
    return takesSockets ? this.#sockets.room : 0;
  }

  get unacknowledged(): number {
    return this.#sockets.unacknowledged;
  }

  get report(): WorkerReport | undefined {
    return this.figures.report;
  }

  /** Our end of its descriptor pair; undefined while it has no process. */
  get descriptors(): number | undefined {
    return this.#process?.descriptors;
  }

  /** It has been forked, and not reaped. */
  get hasProcess(): boolean {
    return this.#process !== undefined;
  }

  /** 0 while it has no process. */
  get pid(): number {
    return this.#process?.child.pid ?? 0;
  }

  /** The CPU that it is pinned to; null when it is not, or not yet. */
  get pinnedTo(): number | null {
    return this.#pinnedTo;
  }

  /** Never throws: what prevents it is a failed start. */
  start(): void {
    const now = performance.now();
    const process = forkWorker(this.#parts, {
      notForked: (error) => this.#notForked(error),
      ended: (code, signal) => this.#ended(code, signal),
      outOfHeap: () => this.#watchdog.outOfHeap(),
    });
    if (process === undefined) return;
    this.#process = process;
    this.#watchdog.begin(process, now);
    const isSetUp = this.#parts.guard.run('setting a worker up', () => this.#setUp(process));
    if (!isSetUp) this.kill('it could not be set up');
  }

  #setUp(process: WorkerProcess): void {
    this.#sockets.begin(process.descriptors);
    process.link.open({
      linkOnMessage: this.#parts.guard.wrap('a message of a worker', (message) => this.#received(message)),
      linkOnClose: this.#parts.guard.wrap('the end of a link', (reason) => this.#linkClosed(reason)),
    });
    this.#hooks.workerStarted(this);
    this.send({
      type: 'start',
      worker: this.index,
      ...this.#facts,
      config: this.#parts.config,
      tls: this.#hooks.tls(),
    });
  }

  /** Urgent, and bounded: a worker that takes not even these is as good as dead. */
  send(message: MasterMessage): void {
    const outcome = this.#process?.link.sendUrgent(message);
    if (outcome === 'overflow') this.kill('it does not take control messages');
  }

  /** What may be lost, or tried again: false when too many bytes wait, or it has no process. */
  offer(message: MasterMessage): boolean {
    return this.#process?.link.send(message) === 'sent';
  }

  /** Memory of what it has not taken of {@link send} and {@link offer}. */
  get bufferedBytes(): number {
    return this.#process?.link.bufferedBytes ?? 0;
  }

  get maxBufferedBytes(): number {
    return this.#parts.config.maxWorkerLinkBytes;
  }

  /** Gives it a socket; {@link flush} sends them. */
  give(socket: AcceptedSocket, address?: Uint8Array, addressOffset?: number): void {
    this.#sockets.give(socket, address, addressOffset);
  }

  /** As {@link give}, for sockets that came together. */
  giveRun(run: SocketRun): void {
    this.#sockets.giveRun(run);
  }

  /** Gives it its end of the pair of a move, which is ours no more. */
  givePair(move: number, end: number): void {
    this.#sockets.givePair(move, end);
  }

  flush(): void {
    this.#sockets.flush();
  }

  readAcknowledgements(): void {
    this.#sockets.readAcknowledgements();
  }

  /** Looks whether hand-offs wait for it longer than `workerLagMs`: {@link isLagging} stays as it is until the next look. */
  updateLag(now: number): void {
    this.#lag.look(now - (this.#sockets.oldestSentAt ?? now));
  }

  /** Has it killed when it is stuck. The master was not running for `pauseMs` before. */
  checkLiveness(now: number, pauseMs: number): void {
    if (pauseMs > 0) this.#watchdog.forgive(now, pauseMs);
    this.#watchdog.look(now, this.#state, this.#sockets.oldestSentAt);
  }

  #overdue(reason: string, facts: LogFields): void {
    this.kill(reason, facts);
    if (this.#state === 'starting') this.#hooks.workerTimedOut(this);
  }

  kill(reason: string, facts: LogFields = {}): void {
    const child = this.#process?.child;
    if (child === undefined || child.killed) return;
    // False: it has ended, which its exit will report; or the signal was not sent, which is reported as an error.
    if (!child.kill('SIGKILL')) return;
    this.#parts.counters.add('worker_kills');
    this.#parts.log.error({ worker: this.index, pid: child.pid, reason, ...facts }, 'killing worker');
  }

  /** What it knows now; undefined when it does not answer in time. */
  ask(asked: Asked, timeoutMs?: number): Promise<AskAnswer | undefined> {
    if (this.#state !== 'ready' && this.#state !== 'draining') return Promise.resolve(undefined);
    return this.#asks.ask((id) => this.send({ type: 'ask', id, asked }), timeoutMs);
  }

  /** Graceful: it exits when its connections have ended. */
  drain(drainMs: number): void {
    if (this.#state !== 'ready') {
      this.stop();
      return;
    }
    this.#isStopping = true;
    this.#state = 'draining';
    this.send({ type: 'drain', drainMs, workers: this.#owner.workerCount });
  }

  /** It ends what it cannot move, and exits. */
  retire(drainMs: number, retireMs: number): void {
    this.#isStopping = true;
    this.#state = 'draining';
    this.send({ type: 'retire', drainMs, retireMs, workers: this.#owner.workerCount });
  }

  /** Forceful. */
  stop(): void {
    this.#isStopping = true;
    if (this.#process === undefined) this.#state = 'stopped';
    else this.#process.child.kill('SIGKILL');
  }

  #received(message: WorkerMessage): void {
    this.#watchdog.heard(performance.now());
    switch (message.type) {
      case 'ready':
        this.#becameReady(message);
        return;
      case 'failed':
        this.#hooks.workerFailed(this, message.reason);
        return;
      case 'report':
        this.figures.reported(checkReport(message.report));
        this.#hooks.workerReported(this);
        return;
      case 'released':
        // Last words of a process whose counts have been taken back.
        if (this.#process === undefined) return;
        this.releasedAt = performance.now();
        this.#sockets.counts.released(message.total, message.limited);
        this.#hooks.workerHasRoom();
        return;
      case 'log':
        this.#parts.log[message.level]({ worker: this.index, ...message.fields }, message.message);
        return;
      case 'answer':
        this.figures.answered(checkAnswer(message.answer));
        this.#asks.answered(message.id, message.answer);
        return;
      case 'drained':
        this.#parts.log.info({ worker: this.index, closed: message.closed }, 'worker drained');
        return;
      case 'moved':
        if (this.#process === undefined) return;
        if (message.direction === 'in') this.#sockets.counts.movedIn(message.total);
        else this.#sockets.counts.movedOut(message.total);
        this.#hooks.workerSaid(this, message);
        this.#hooks.workerHasRoom();
        return;
      case 'addresses':
      case 'lease':
      case 'moveNeedsDeath':
      case 'moveEnded':
      case 'query':
      case 'broker':
      case 'owner':
        // Nobody waits for the last words of a process that has been reaped.
        if (this.#process !== undefined) this.#hooks.workerSaid(this, message);
        return;
      case 'retired':
        this.#hooks.workerSaid(this, message);
        return;
      default:
        assertNever(message);
    }
  }

  /** It has died, or exits now; a living one could not be reached any more. */
  #linkClosed(reason: string): void {
    if (!this.#isStopping && this.#state === 'ready') this.#watchdog.linkEnded(performance.now(), reason);
  }

  #becameReady({ capacity, cpu, apps }: Extract<WorkerMessage, { type: 'ready' }>): void {
    this.#capacity = capacity;
    this.apps = apps;
    this.#pinnedTo = cpu;
    this.#readyAt = performance.now();
    if (this.#isStopping) return;
    this.#state = 'ready';
    this.#parts.log.info(
      { worker: this.index, pid: this.#process?.child.pid, cpu, capacity },
      'worker ready',
    );
    this.#hooks.workerReady(this);
  }

  /** Its process has been reaped: its counts are taken back, and what it had not acknowledged. */
  #ended(code: number | null, signal: string | null): void {
    const process = this.#process;
    if (process === undefined) return;
    let readyMs = 0;
    try {
      if (this.#readyAt !== undefined) readyMs = performance.now() - this.#readyAt;
      this.#clear(process, code, signal);
    } finally {
      // In any case it is over, and a new worker must take its place.
      this.#process = undefined;
      this.#sockets.forget();
      this.#watchdog.end();
      this.figures.end();
      this.#owner.lifeEnded(this, readyMs);
    }
  }

  #clear({ child }: WorkerProcess, code: number | null, signal: string | null): void {
    this.#state = this.#isStopping ? 'stopped' : 'failed';
    const { had, returned } = this.#sockets.end();
    this.#process = undefined;
    this.#lag.end();
    this.#asks.end();
    const facts = { worker: this.index, pid: child.pid, code, signal };
    const lost = this.#isStopping && code === 0 ? 0 : had;
    if (this.#isStopping) this.#parts.log.info(facts, 'worker stopped');
    else this.#parts.log.error({ ...facts, connections: had, placedAgain: returned.length }, 'worker died');
    this.#parts.guard.run('the end of a worker', () => this.#hooks.workerEnded(this, lost));
    if (returned.length > 0) this.#hooks.workerReturned(this, returned);
  }

  /** There is no process: the system refused to fork one. */
  #notForked(error: NodeJS.ErrnoException): void {
    // The farm has stopped in the meantime.
    if (this.#isStopping) return;
    this.#state = 'failed';
    this.figures.end();
    this.#parts.counters.add('fork_errors');
    this.#owner.lifeNotForked(this, error);
    this.#hooks.workerNotForked(this, error);
  }
}
