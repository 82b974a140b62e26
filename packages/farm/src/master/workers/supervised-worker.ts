import { assertNever } from '../../link/assert-never.ts';
import { checkAnswer, checkReport } from '../../link/check-answer.ts';
import type { AskAnswer, MasterMessage, WorkerMessage, WorkerReport } from '../../link/messages.ts';
import type { Counters } from '../../api/counters.ts';
import type { WorkerInfo } from '../../api/info.ts';
import type { Log } from '../../api/log.ts';
import type { FarmConfig } from '../../options/options.ts';
import { Asks } from './asks.ts';
import { Backoff } from './backoff.ts';
import type { Guard } from '../guard.ts';
import { handOffReports } from '../entrance/hand-off-reports.ts';
import { HandOff, type AcceptedSocket } from '../entrance/hand-off.ts';
import { Lag } from './lag.ts';
import { overdue, type WorkerTimes } from '../entrance/overdue.ts';
import type { WorkerLoad } from '../entrance/placement.ts';
import { Shortage } from './shortage.ts';
import { SocketCounts } from '../entrance/socket-counts.ts';
import type { SupervisionHooks } from './supervision-hooks.ts';
import { forkWorker, type WorkerProcess } from './worker-process.ts';

/**
 * One place in the farm for a worker, over all its lives.
 *
 *     starting ─► ready ─► draining ─► stopped
 *        └─► failed ◄┘        (failed ─► starting after a delay, unless the farm stops)
 *
 * starting: forked, its apps are being loaded; failed at once when it cannot be forked. ready: it takes sockets.
 * draining: it closes its connections and takes none. failed: it died without being asked; what it had not acknowledged
 * has been given back. A worker that is silent, to hand-offs or altogether, is killed first and never bypassed: it might
 * have read what another is given.
 */
export class SupervisedWorker implements WorkerLoad {
  readonly index: number;
  readonly cpu: number | null;
  readonly sharesCpu: boolean;
  /** When it last said that connections have ended, by performance.now(). */
  releasedAt = Number.NEGATIVE_INFINITY;
  readonly #config: FarmConfig;
  readonly #log: Log;
  readonly #counters: Counters;
  readonly #guard: Guard;
  readonly #hooks: SupervisionHooks<SupervisedWorker>;
  readonly #backoff = new Backoff();
  readonly #asks: Asks;
  readonly #counts = new SocketCounts();
  readonly #shortage: Shortage;
  readonly #lag: Lag;
  readonly #times: WorkerTimes = { startedAt: 0, heardAt: 0, linkEnd: undefined };
  #state: WorkerInfo['state'] = 'starting';
  #process: WorkerProcess | undefined;
  #handOff: HandOff | undefined;
  #capacity = 0;
  #pinnedTo: number | null = null;
  #report: WorkerReport | undefined;
  #readyAt: number | undefined;
  #restarts = 0;
  #restartTimer: NodeJS.Timeout | undefined;
  #isStopping = false;

  constructor(
    index: number,
    { cpu, sharesCpu }: { readonly cpu: number | null; readonly sharesCpu: boolean },
    config: FarmConfig,
    log: Log,
    counters: Counters,
    guard: Guard,
    hooks: SupervisionHooks<SupervisedWorker>,
  ) {
    this.index = index;
    this.cpu = cpu;
    this.sharesCpu = sharesCpu;
    this.#config = config;
    this.#log = log;
    this.#counters = counters;
    this.#guard = guard;
    this.#asks = new Asks(guard);
    this.#shortage = new Shortage(index, guard, log, () => hooks.workerHasRoom());
    this.#lag = new Lag(index, config.workerLagMs, counters, log);
    this.#hooks = hooks;
  }

  get state(): WorkerInfo['state'] {
    return this.#state;
  }

  get connections(): number {
    return this.#counts.connections;
  }

  get capacity(): number {
    return this.#capacity;
  }

  get limited(): number {
    return this.#counts.limited;
  }

  get isLagging(): boolean {
    return this.#lag.isOn;
  }

  get room(): number {
    const takesSockets = this.#state === 'ready' && !this.#shortage.isOn && this.#times.linkEnd === undefined;
    return takesSockets ? (this.#handOff?.room ?? 0) : 0;
  }

  get unacknowledged(): number {
    return this.#handOff?.unacknowledged ?? 0;
  }

  get report(): WorkerReport | undefined {
    return this.#report;
  }

  /** Our end of its descriptor pair; undefined while it has no process. */
  get descriptors(): number | undefined {
    return this.#process?.descriptors;
  }

  get info(): WorkerInfo {
    return {
      worker: this.index,
      pid: this.#process?.child.pid ?? 0,
      cpu: this.#pinnedTo,
      state: this.#state,
      connections: this.#report?.connections ?? 0,
      capacity: this.#capacity,
      subscriptions: this.#report?.subscriptions ?? 0,
      outboundBytes: this.#report?.outboundBytes ?? 0,
      restarts: this.#restarts,
    };
  }

  /** Never throws: what prevents it is a failed start, and tried again. */
  start(): void {
    this.#restartTimer = undefined;
    this.#state = 'starting';
    this.#times.startedAt = this.#times.heardAt = performance.now();
    this.#readyAt = undefined;
    // Not at its end: its last words may be read after it.
    if (this.#report !== undefined) this.#hooks.workerReplaced(this.#report);
    this.#report = undefined;
    const process = forkWorker(this.#config, this.#log, this.#guard, {
      notForked: (error) => this.#notForked(error),
      ended: (code, signal) => this.#ended(code, signal),
    });
    if (process === undefined) return;
    this.#process = process;
    const isSetUp = this.#guard.run('setting a worker up', () => this.#setUp(process));
    if (!isSetUp) this.kill('it could not be set up');
  }

  #setUp(process: WorkerProcess): void {
    const reports = handOffReports(this.index, this.#counters, this.#log);
    this.#handOff = new HandOff(process.descriptors, this.#config.maxUnacknowledgedHandoffs, this.#guard, {
      acknowledged: (count) => {
        this.#counters.add('handoffs', count);
        this.#hooks.workerHasRoom();
      },
      returned: (sockets) => {
        // Truncated: the worker has no descriptors left. It never had these.
        this.#counts.takenBack(sockets);
        this.#shortage.begin();
        this.#hooks.workerReturned(this, sockets);
      },
      refused: reports.refused,
      lost: (sockets, errno) => {
        this.#counts.takenBack(sockets);
        reports.lost(sockets, errno);
      },
    });
    process.link.open({
      linkOnMessage: this.#guard.wrap('a message of a worker', (message) => this.#received(message)),
      linkOnClose: this.#guard.wrap('the end of a link', (reason) => this.#linkClosed(reason)),
    });
    this.#hooks.workerStarted(this);
    this.send({
      type: 'start',
      worker: this.index,
      cpu: this.cpu,
      config: this.#config,
      tls: this.#hooks.tls(),
      sharesCpu: this.sharesCpu,
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
    return this.#config.maxWorkerLinkBytes;
  }

  /** Gives it a socket; {@link flush} sends them. */
  give(socket: AcceptedSocket, address?: Uint8Array, addressOffset?: number): void {
    this.#counts.given(socket);
    this.#handOff?.add(socket, address, addressOffset);
  }

  flush(): void {
    this.#handOff?.flush();
  }

  readAcknowledgements(): void {
    this.#handOff?.readAcknowledgements();
  }

  /** Looks whether hand-offs wait for it longer than `workerLagMs`: {@link isLagging} stays as it is until the next look. */
  updateLag(now: number): void {
    this.#lag.look(now - (this.#handOff?.oldestSentAt ?? now));
  }

  /** Kills it when it has left a hand-off, or everything, unanswered for too long; starts it when nothing else does. */
  checkLiveness(now: number): void {
    // Something has failed that was to start it again.
    const isForsaken = this.#process === undefined && this.#restartTimer === undefined && !this.#isStopping;
    if (isForsaken) this.#startAfter(0);
    if (this.#process === undefined) return;
    const reason = overdue(this.#times, this.#state, this.#handOff?.oldestSentAt, this.#config, now);
    if (reason === undefined) return;
    this.kill(reason);
    if (this.#state === 'starting') this.#hooks.workerTimedOut(this);
  }

  /** The master itself was not running for a while: silence of that time says nothing. */
  forgiveSilence(now: number): void {
    this.#times.heardAt = now;
  }

  kill(reason: string): void {
    const child = this.#process?.child;
    if (child === undefined || child.killed) return;
    // False: it has ended, which its exit will report; or the signal was not sent, which is reported as an error.
    if (!child.kill('SIGKILL')) return;
    this.#counters.add('worker_kills');
    this.#log.error({ worker: this.index, pid: child.pid, reason }, 'killing worker');
  }

  /** What it knows now; undefined when it does not answer in time. */
  ask(question: 'report' | 'channels', pattern: string): Promise<AskAnswer | undefined> {
    if (this.#state !== 'ready' && this.#state !== 'draining') return Promise.resolve(undefined);
    return this.#asks.ask((id) => this.send({ type: 'ask', id, question, pattern }));
  }

  /** Graceful: it exits when its connections have ended. */
  drain(drainMs: number): void {
    if (this.#state !== 'ready') {
      this.stop();
      return;
    }
    this.#isStopping = true;
    this.#state = 'draining';
    this.send({ type: 'drain', drainMs });
  }

  /** Forceful. */
  stop(): void {
    this.#isStopping = true;
    clearTimeout(this.#restartTimer);
    if (this.#process === undefined) this.#state = 'stopped';
    else this.#process.child.kill('SIGKILL');
  }

  #received(message: WorkerMessage): void {
    this.#times.heardAt = performance.now();
    switch (message.type) {
      case 'ready':
        this.#becameReady(message.capacity, message.cpu);
        return;
      case 'failed':
        this.#hooks.workerFailed(this, message.reason);
        return;
      case 'report':
        this.#report = checkReport(message.report);
        this.#hooks.workerReported();
        return;
      case 'released':
        // Last words of a process whose counts have been taken back.
        if (this.#process === undefined) return;
        this.releasedAt = performance.now();
        this.#counts.released(message.total, message.limited);
        this.#hooks.workerHasRoom();
        return;
      case 'log':
        this.#log[message.level]({ worker: this.index, ...message.fields }, message.message);
        return;
      case 'answer':
        checkAnswer(message.answer);
        if (message.answer.kind === 'report') this.#report = message.answer.report;
        this.#asks.answered(message.id, message.answer);
        return;
      case 'drained':
        this.#log.info({ worker: this.index, closed: message.closed }, 'worker drained');
        return;
      case 'addresses':
      case 'lease':
        if (this.#process !== undefined) this.#hooks.workerSaid(this, message);
        return;
      case 'query':
      case 'broker':
        this.#hooks.workerSaid(this, message);
        return;
      default:
        assertNever(message);
    }
  }

  #linkClosed(reason: string): void {
    // It has died, or exits now; a living one could not be reached any more.
    if (!this.#isStopping && this.#state === 'ready') this.#times.linkEnd = { at: performance.now(), reason };
  }

  #becameReady(capacity: number, cpu: number | null): void {
    this.#capacity = capacity;
    this.#pinnedTo = cpu;
    this.#readyAt = performance.now();
    if (this.#isStopping) return;
    this.#state = 'ready';
    this.#log.info({ worker: this.index, pid: this.#process?.child.pid, cpu, capacity }, 'worker ready');
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
      // In any case the place is free, and a new worker must take it.
      this.#process = undefined;
      this.#handOff = undefined;
      if (!this.#isStopping) this.#restart(readyMs);
    }
  }

  #clear({ child }: WorkerProcess, code: number | null, signal: string | null): void {
    this.#state = this.#isStopping ? 'stopped' : 'failed';
    this.#shortage.end();
    const returned = this.#handOff?.end() ?? [];
    const lost = this.connections + this.limited - returned.length;
    this.#process = undefined;
    this.#handOff = undefined;
    this.#counts.reset();
    this.#lag.end();
    this.#times.linkEnd = undefined;
    this.#asks.end();
    const facts = { worker: this.index, pid: child.pid, code, signal };
    if (this.#isStopping) this.#log.info(facts, 'worker stopped');
    else this.#log.error({ ...facts, connections: lost, placedAgain: returned.length }, 'worker died');
    this.#guard.run('the end of a worker', () => this.#hooks.workerEnded(this));
    if (returned.length > 0) this.#hooks.workerReturned(this, returned);
  }

  /** There is no process: the system refused to fork one. It may succeed later. */
  #notForked(error: NodeJS.ErrnoException): void {
    // The farm has stopped in the meantime: this place is given up already.
    if (this.#isStopping) return;
    this.#state = 'failed';
    const delayMs = this.#startAfter(0);
    this.#counters.add('fork_errors');
    this.#log.error({ worker: this.index, code: error.code, reason: error.message, delayMs }, 'fork failed');
    this.#hooks.workerNotForked(this, error);
  }

  #restart(readyMs: number): void {
    const delayMs = this.#startAfter(readyMs);
    this.#restarts++;
    this.#counters.add('worker_restarts');
    this.#log.info({ worker: this.index, delayMs }, 'starting worker again');
  }

  #startAfter(readyMs: number): number {
    const delayMs = this.#backoff.next(readyMs);
    this.#restartTimer = this.#guard.after(delayMs, 'starting a worker', () => this.start());
    return delayMs;
  }
}
