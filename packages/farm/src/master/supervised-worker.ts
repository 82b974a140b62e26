import { assertNever } from '../channel/assert-never.ts';
import type { ChannelHandlers } from '../channel/channel.ts';
import type { AskAnswer, MasterMessage, WorkerMessage, WorkerReport } from '../channel/messages.ts';
import type { TlsCredentials } from '../channel/tls-credentials.ts';
import type { Counters } from '../counters.ts';
import type { WorkerInfo } from '../info.ts';
import type { Log } from '../log.ts';
import type { FarmConfig } from '../options.ts';
import { Backoff } from './backoff.ts';
import { HandOff, isLimited, type AcceptedSocket } from './hand-off.ts';
import type { WorkerLoad } from './placement.ts';
import { forkWorker, type WorkerProcess } from './worker-process.ts';

/** What a worker says that concerns more than its own supervision. */
export type ForwardedMessage = Extract<WorkerMessage, { type: 'query' | 'broker' | 'addresses' | 'turn' }>;

export interface SupervisionHooks {
  /** What it speaks TLS with, now; null without TLS. */
  tls(): TlsCredentials | null;
  /** It has a process, and `descriptors`. */
  workerStarted(worker: SupervisedWorker): void;
  /** It takes hand-offs now. */
  workerReady(worker: SupervisedWorker): void;
  /** The system had no process for it; it is tried again later. */
  workerNotForked(worker: SupervisedWorker, error: NodeJS.ErrnoException): void;
  /** It cannot start; `reason` is what its app threw, most often. It is not started again by itself. */
  workerFailed(worker: SupervisedWorker, reason: string): void;
  /** It has not started within `appStartTimeoutMs`, and is killed. */
  workerTimedOut(worker: SupervisedWorker): void;
  /** It has room again, or its connections have become fewer. */
  workerHasRoom(): void;
  /** Sockets that it will not serve. */
  workerReturned(worker: SupervisedWorker, sockets: readonly AcceptedSocket[]): void;
  /** What it reports has changed. */
  workerReported(): void;
  /** It is started again; the last report of the one before. */
  workerReplaced(report: WorkerReport): void;
  /** It is gone, for good or until it is started again. */
  workerEnded(worker: SupervisedWorker): void;
  /** Everything else it says. */
  workerSaid(worker: SupervisedWorker, message: ForwardedMessage): void;
}

const ASK_TIMEOUT_MS = 1000;
/** A worker that exits is seen by the end of its channel first, and reaped a moment later. */
const EXIT_MS = 1000;
/** A worker without descriptors would return the next hand-off just as fast: the two would do nothing else. */
const SHORTAGE_PAUSE_MS = 100;

/**
 * One place in the farm for a worker, over all its lives.
 *
 *     starting ─► ready ─► draining ─► stopped
 *        └─► failed ◄┘        (failed ─► starting after a delay, unless the farm stops)
 *
 * starting: forked, its apps are being loaded; failed at once when it cannot be forked. ready: it takes sockets. draining: it closes its connections and takes
 * none. failed: it died without being asked; what it had not acknowledged has been given back. A worker that is silent,
 * to hand-offs or altogether, is killed first and never bypassed: it might have read what another is given.
 */
export class SupervisedWorker implements WorkerLoad, ChannelHandlers<WorkerMessage> {
  readonly index: number;
  readonly cpu: number | null;
  readonly sharesCpu: boolean;
  /** When it last said that connections have ended, by performance.now(). */
  releasedAt = Number.NEGATIVE_INFINITY;
  readonly #config: FarmConfig;
  readonly #log: Log;
  readonly #counters: Counters;
  readonly #hooks: SupervisionHooks;
  readonly #backoff = new Backoff();
  readonly #asks = new Map<number, (answer: AskAnswer | undefined) => void>();
  #state: WorkerInfo['state'] = 'starting';
  #process: WorkerProcess | undefined;
  #handOff: HandOff | undefined;
  /** Limited sockets are counted apart: they have places of their own. */
  #handed = 0;
  #released = 0;
  #limitedHanded = 0;
  #limitedReleased = 0;
  #isLagging = false;
  #capacity = 0;
  #pinnedTo: number | null = null;
  #report: WorkerReport | undefined;
  #startedAt = 0;
  #readyAt: number | undefined;
  #heardAt = 0;
  /** When its control channel ended, and why. */
  #channelEnd: { readonly at: number; readonly reason: string } | undefined;
  #restarts = 0;
  #restartTimer: NodeJS.Timeout | undefined;
  #shortageTimer: NodeJS.Timeout | undefined;
  #lastAsk = 0;
  #isStopping = false;

  constructor(
    index: number,
    { cpu, sharesCpu }: { readonly cpu: number | null; readonly sharesCpu: boolean },
    config: FarmConfig,
    log: Log,
    counters: Counters,
    hooks: SupervisionHooks,
  ) {
    this.index = index;
    this.cpu = cpu;
    this.sharesCpu = sharesCpu;
    this.#config = config;
    this.#log = log;
    this.#counters = counters;
    this.#hooks = hooks;
  }

  get state(): WorkerInfo['state'] {
    return this.#state;
  }

  get connections(): number {
    return this.#handed - this.#released;
  }

  get capacity(): number {
    return this.#capacity;
  }

  get limited(): number {
    return this.#limitedHanded - this.#limitedReleased;
  }

  get isLagging(): boolean {
    return this.#isLagging;
  }

  get room(): number {
    const takesSockets =
      this.#state === 'ready' && this.#shortageTimer === undefined && this.#channelEnd === undefined;
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

  start(): void {
    this.#state = 'starting';
    this.#startedAt = this.#heardAt = performance.now();
    this.#readyAt = undefined;
    // Not at its end: its last words may be read after it.
    if (this.#report !== undefined) this.#hooks.workerReplaced(this.#report);
    this.#report = undefined;
    const process = forkWorker(this.#config, this.#log, (error) => this.#notForked(error));
    if (process === undefined) return;
    this.#process = process;
    this.#handOff = new HandOff(
      process.descriptors,
      this.#config.maxUnacknowledgedHandoffs,
      (count) => {
        this.#counters.add('handoffs', count);
        this.#hooks.workerHasRoom();
      },
      (sockets) => {
        // Truncated: the worker has no descriptors left. It never had these.
        const limited = sockets.filter(isLimited).length;
        this.#limitedHanded -= limited;
        this.#handed -= sockets.length - limited;
        this.#pauseForShortage();
        this.#hooks.workerReturned(this, sockets);
      },
    );
    // It lives, or its exit will be told: only a signal could not be sent.
    process.child.on('error', (error) =>
      this.#log.error(
        { worker: this.index, pid: process.child.pid, reason: error.message },
        'signal not sent',
      ),
    );
    process.child.once('exit', (code, signal) => this.#ended(code, signal));
    this.#hooks.workerStarted(this);
    process.channel.open(this);
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
    if (this.#process?.channel.send(message, true) === 'overflow')
      this.kill('it does not take control messages');
  }

  /** What may be lost, or tried again: false when too many bytes wait, or it has no process. */
  offer(message: MasterMessage): boolean {
    return this.#process?.channel.send(message) === 'sent';
  }

  /** Memory of what it has not taken of {@link send} and {@link offer}. */
  get bufferedBytes(): number {
    return this.#process?.channel.bufferedBytes ?? 0;
  }

  get maxBufferedBytes(): number {
    return this.#config.maxChannelBufferBytes;
  }

  /** Gives it a socket; {@link flush} sends them. */
  give(socket: AcceptedSocket, address?: Uint8Array, addressOffset?: number): void {
    if (isLimited(socket)) this.#limitedHanded++;
    else this.#handed++;
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
    const lagMs = now - (this.#handOff?.oldestSentAt ?? now);
    const isLagging = lagMs > this.#config.workerLagMs;
    if (isLagging && !this.#isLagging) {
      this.#counters.add('worker_lags');
      this.#log.warn({ worker: this.index, lagMs: Math.round(lagMs) }, 'worker lags; others are preferred');
    }
    this.#isLagging = isLagging;
  }

  /** Kills it when it has left a hand-off, or everything, unanswered for too long. */
  checkLiveness(now: number): void {
    if (this.#process === undefined) return;
    const sentAt = this.#handOff?.oldestSentAt ?? now;
    if (now - sentAt > this.#config.handOffTimeoutMs) {
      this.kill('it left a hand-off unacknowledged');
    } else if (this.#channelEnd !== undefined && now - this.#channelEnd.at > EXIT_MS) {
      this.kill(`its control channel ended: ${this.#channelEnd.reason}`);
    } else if (this.#state === 'starting' && now - this.#startedAt > this.#config.appStartTimeoutMs) {
      this.kill(`its app was not loaded within ${this.#config.appStartTimeoutMs} ms (appStartTimeoutMs)`);
      this.#hooks.workerTimedOut(this);
    } else if (this.#state === 'ready' && now - this.#heardAt > this.#config.workerTimeoutMs) {
      this.kill('it was silent');
    }
  }

  /** The master itself was not running for a while: silence of that time says nothing. */
  forgiveSilence(now: number): void {
    this.#heardAt = now;
  }

  kill(reason: string): void {
    const child = this.#process?.child;
    if (child === undefined || child.killed) return;
    this.#counters.add('worker_kills');
    this.#log.error({ worker: this.index, pid: child.pid, reason }, 'killing worker');
    child.kill('SIGKILL');
  }

  /** What it knows now; undefined when it does not answer in time. */
  ask(question: 'report' | 'channels', pattern: string): Promise<AskAnswer | undefined> {
    if (this.#state !== 'ready' && this.#state !== 'draining') return Promise.resolve(undefined);
    const id = ++this.#lastAsk;
    return new Promise((resolve) => {
      const answered = (answer: AskAnswer | undefined): void => {
        clearTimeout(timer);
        this.#asks.delete(id);
        resolve(answer);
      };
      const timer = setTimeout(answered, ASK_TIMEOUT_MS, undefined);
      this.#asks.set(id, answered);
      this.send({ type: 'ask', id, question, pattern });
    });
  }

  /** Graceful: it exits when its connections have ended. */
  drain(drainMs: number): void {
    this.#isStopping = true;
    clearTimeout(this.#restartTimer);
    if (this.#process === undefined) this.#state = 'stopped';
    else if (this.#state === 'ready') {
      this.#state = 'draining';
      this.send({ type: 'drain', drainMs });
    } else {
      this.#process.child.kill('SIGKILL');
    }
  }

  /** Forceful. */
  stop(): void {
    this.#isStopping = true;
    clearTimeout(this.#restartTimer);
    if (this.#process === undefined) this.#state = 'stopped';
    else this.#process.child.kill('SIGKILL');
  }

  channelOnMessage(message: WorkerMessage): void {
    this.#heardAt = performance.now();
    switch (message.type) {
      case 'ready':
        this.#becameReady(message.capacity, message.cpu);
        return;
      case 'failed':
        this.#hooks.workerFailed(this, message.reason);
        return;
      case 'report':
        this.#report = message.report;
        this.#hooks.workerReported();
        return;
      case 'released':
        // Last words of a process whose counts have been taken back.
        if (this.#process === undefined) return;
        this.#limitedReleased = message.limited;
        this.releasedAt = performance.now();
        this.#released = message.total - message.limited;
        this.#hooks.workerHasRoom();
        return;
      case 'log':
        this.#log[message.level]({ worker: this.index, ...message.fields }, message.message);
        return;
      case 'answer':
        if (message.answer.kind === 'report') this.#report = message.answer.report;
        this.#asks.get(message.id)?.(message.answer);
        return;
      case 'drained':
        this.#log.info({ worker: this.index, closed: message.closed }, 'worker drained');
        return;
      case 'addresses':
      case 'turn':
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

  channelOnClose(reason: string): void {
    // It has died, or exits by itself now; one that lives on could not be reached any more.
    if (!this.#isStopping && this.#state === 'ready') this.#channelEnd = { at: performance.now(), reason };
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

  /** Places nothing on it for a moment; those who come meanwhile go to others, or wait. */
  #pauseForShortage(): void {
    if (this.#shortageTimer !== undefined) return;
    this.#log.warn(
      { worker: this.index, pauseMs: SHORTAGE_PAUSE_MS },
      'worker has no descriptor left; pausing',
    );
    this.#shortageTimer = setTimeout(() => {
      this.#shortageTimer = undefined;
      this.#hooks.workerHasRoom();
    }, SHORTAGE_PAUSE_MS);
  }

  /** Its process has been reaped: its counts are taken back, and what it had not acknowledged. */
  #ended(code: number | null, signal: string | null): void {
    const process = this.#process;
    if (process === undefined) return;
    clearTimeout(this.#shortageTimer);
    this.#shortageTimer = undefined;
    const readyMs = this.#readyAt === undefined ? 0 : performance.now() - this.#readyAt;
    const returned = this.#handOff?.end() ?? [];
    const lost = this.connections + this.limited - returned.length;
    this.#process = undefined;
    this.#handOff = undefined;
    this.#handed = this.#released = this.#limitedHanded = this.#limitedReleased = 0;
    this.#isLagging = false;
    this.#channelEnd = undefined;
    for (const answered of this.#asks.values()) answered(undefined);
    const facts = { worker: this.index, pid: process.child.pid, code, signal };
    if (this.#isStopping) {
      this.#state = 'stopped';
      this.#log.info(facts, 'worker stopped');
    } else {
      this.#state = 'failed';
      this.#log.error({ ...facts, connections: lost, placedAgain: returned.length }, 'worker died');
    }
    this.#hooks.workerEnded(this);
    if (returned.length > 0) this.#hooks.workerReturned(this, returned);
    if (!this.#isStopping) this.#restart(readyMs);
  }

  /** There is no process: the system did not let us have one. It may, later. */
  #notForked(error: NodeJS.ErrnoException): void {
    this.#counters.add('fork_errors');
    // The farm has stopped meanwhile: this place is given up already.
    if (this.#isStopping) return;
    this.#state = 'failed';
    const delayMs = this.#backoff.next(0);
    this.#log.error({ worker: this.index, code: error.code, reason: error.message, delayMs }, 'fork failed');
    this.#restartTimer = setTimeout(() => this.start(), delayMs);
    this.#hooks.workerNotForked(this, error);
  }

  #restart(readyMs: number): void {
    const delayMs = this.#backoff.next(readyMs);
    this.#restarts++;
    this.#counters.add('worker_restarts');
    this.#log.info({ worker: this.index, delayMs }, 'starting worker again');
    this.#restartTimer = setTimeout(() => this.start(), delayMs);
  }
}
