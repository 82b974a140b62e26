import { MemoryBrokerExchange, type ExchangePort, type ExchangeToWorkerMessage } from '@roost/broker';
import { closeDescriptor, EVENT_FIELDS, Interest, localAddress, Poller } from '@roost/poller';
import { assertNever } from '../link/assert-never.ts';
import type { TlsCredentials } from '../link/tls-credentials.ts';
import type { QueryAnswer, WorkerMessage, WorkerReport } from '../link/messages.ts';
import { addCounts, Counters } from '../api/counters.ts';
import { FarmError } from '../api/errors.ts';
import type { Farm } from '../api/farm.ts';
import type { FarmInfo, Readiness } from '../api/info.ts';
import type { Log } from '../api/log.ts';
import type { FarmConfig } from '../options/options.ts';
import type { TlsOptions } from '../api/tls.ts';
import { Acceptor } from './entrance/acceptor.ts';
import { askWorkers, channelsOf } from './workers/ask-workers.ts';
import { CpuLeases } from './workers/cpu-leases.ts';
import { Entrance } from './entrance/entrance.ts';
import type { AcceptedSocket } from './entrance/hand-off.ts';
import { Guard } from './guard.ts';
import { farmInfo } from './farm-info.ts';
import { openListener } from './entrance/listener.ts';
import { readinessOf } from './workers/readiness.ts';
import { SupervisedWorker } from './workers/supervised-worker.ts';
import type { ForwardedMessage, SupervisionHooks } from './workers/supervision-hooks.ts';
import type { TlsKeeper } from './tls-keeper.ts';

const LISTENER_ID = 0;
const WORKER_IDS = 1;
const LIVENESS_MS = 250;

/**
 * The master: puts the parts together and looks after the workers. The acceptor accepts sockets, the entrance decides which
 * of them may enter and where. The master never reads a byte from a client's socket.
 *
 *     starting ─► running ─► draining ─► stopped
 */
export class Master implements Farm, SupervisionHooks<SupervisedWorker> {
  readonly port: number;
  readonly stopped: Promise<void>;
  readonly ready: Promise<void>;
  readonly #config: FarmConfig;
  readonly #log: Log;
  readonly #tls: TlsKeeper;
  readonly #counters = new Counters();
  /** Last counts of workers that others have replaced. */
  readonly #retiredCounts: Record<string, number> = {};
  readonly #poller: Poller;
  readonly #acceptor: Acceptor;
  readonly #workers: readonly SupervisedWorker[];
  readonly #leases: CpuLeases;
  readonly #exchange = new MemoryBrokerExchange((milliseconds, callback) =>
    this.#guard.after(milliseconds, 'catching up with a worker', callback),
  );
  readonly #ports = new Map<number, ExchangePort>();
  /** Workers whose descriptors are in no epoll set: they are looked at from time to time. */
  readonly #unwatched = new Set<SupervisedWorker>();
  readonly #guard: Guard;
  readonly #startedAt = performance.now();
  readonly #entrance: Entrance;
  readonly #livenessTimer: NodeJS.Timeout;
  readonly #guardedEvent: (id: number) => boolean;
  #state: 'starting' | 'running' | 'draining' | 'stopped' = 'starting';
  #readiness: Readiness = { ready: false, reasons: ['the farm is starting'] };
  #lastLivenessCheck = performance.now();
  #onStarted: ((error?: FarmError) => void) | undefined;
  #onReady: () => void = () => undefined;
  #onStopped: () => void = () => undefined;
  #forceTimer: NodeJS.Timeout | undefined;

  /** Opens the listener and forks the workers. Throws a FarmError when it cannot listen. */
  constructor(
    config: FarmConfig,
    cpus: readonly number[],
    descriptorLimit: number,
    log: Log,
    tls: TlsKeeper,
  ) {
    this.#config = config;
    this.#tls = tls;
    this.#log = log;
    const guard = new Guard(this.#counters, log);
    this.#guard = guard;
    this.#guardedEvent = guard.wrap('an event of the poller', (id: number) => this.#handleEvent(id));
    const listener = openListener(config);
    this.port = localAddress(listener).port;
    try {
      this.#poller = new Poller({
        columns: { fds: new Int32Array(1), generations: new Int32Array(1), flags: new Uint16Array(1) },
        onEvents: (count) => this.#handle(count),
      });
    } catch (error) {
      closeDescriptor(listener);
      throw error;
    }
    this.#workers = Array.from({ length: config.workers }, (_, index) => {
      const cpu = cpus[index % cpus.length] ?? null;
      const sharesCpu = index >= cpus.length || index + cpus.length < config.workers;
      return new SupervisedWorker(index, { cpu, sharesCpu }, config, log, this.#counters, guard, this);
    });
    this.#leases = new CpuLeases(config.broadcastTurnMs, this.#counters, guard);
    // Copies of sockets that are not acknowledged are descriptors of ours.
    const maxUnacknowledged = Math.floor(descriptorLimit / 4);
    const isTls = (): boolean => tls.credentials !== null;
    this.#entrance = new Entrance(
      config,
      this.#workers,
      this.#counters,
      { maxUnacknowledged, cpus: cpus.length },
      isTls,
      guard,
    );
    const { acceptRate } = config;
    this.#acceptor = new Acceptor(
      this.#poller,
      listener,
      LISTENER_ID,
      acceptRate,
      this.#entrance,
      this.#counters,
      log,
      guard,
    );
    this.#livenessTimer = setInterval(
      guard.wrap('the look at all workers', () => this.#checkLiveness()),
      LIVENESS_MS,
    );
    this.ready = new Promise((resolve) => {
      this.#onReady = resolve;
    });
    this.stopped = new Promise((resolve) => {
      this.#onStopped = resolve;
    });
  }

  /** Resolves when every worker is ready; rejects, with everything stopped, when one cannot start. */
  async start(): Promise<void> {
    const started = new Promise<void>((resolve, reject) => {
      this.#onStarted = (error) => (error === undefined ? resolve() : reject(error));
    });
    for (const worker of this.#workers) worker.start();
    try {
      await started;
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#state = 'running';
    this.#updateReadiness();
    this.#acceptor.resume();
  }

  reloadTls(options: TlsOptions): void {
    const credentials = this.#tls.replace(options);
    for (const worker of this.#workers) {
      if (worker.state === 'ready' || worker.state === 'starting') worker.send({ type: 'tls', credentials });
    }
  }

  readiness(): Readiness {
    return this.#readiness;
  }

  async info(): Promise<FarmInfo> {
    const { unanswered } = await askWorkers(this.#workers, 'report');
    const counters = this.#counters.snapshot();
    addCounts(counters, this.#retiredCounts);
    addCounts(counters, { log_lines_lost: this.#log.linesLost ?? 0 });
    return farmInfo({
      config: this.#config,
      uptimeMs: Math.round(performance.now() - this.#startedAt),
      workers: this.#workers,
      unanswered,
      readiness: this.#readiness,
      counters,
    });
  }

  async drain(): Promise<void> {
    if (this.#state === 'draining' || this.#state === 'stopped') return this.stopped;
    const { drainMs, stopTimeoutMs } = this.#config;
    this.#state = 'draining';
    this.#updateReadiness();
    this.#closeListener();
    this.#log.info({ drainMs }, 'farm draining');
    for (const worker of this.#workers) worker.drain(drainMs);
    // Each worker bounds its own drain and its own stop; one that does not keep to it is ended.
    this.#forceTimer = this.#guard.after(drainMs + 4 * stopTimeoutMs, 'stopping', () => this.#stopNow());
    this.#stopIfDone();
    return this.stopped;
  }

  async stop(): Promise<void> {
    if (this.#state === 'stopped') return this.stopped;
    this.#stopNow();
    return this.stopped;
  }

  #stopNow(): void {
    this.#state = 'draining';
    this.#closeListener();
    for (const worker of this.#workers) worker.stop();
    this.#stopIfDone();
  }

  #closeListener(): void {
    this.#guard.run('closing the listener', () => this.#acceptor.close());
  }

  // Supervision

  tls(): TlsCredentials | null {
    return this.#tls.credentials;
  }

  workerReady(worker: SupervisedWorker): void {
    this.#entrance.workerReady();
    worker.send({ type: 'readiness', readiness: this.#readiness });
    this.#updateReadiness();
    this.workerHasRoom();
    if (this.#workers.every(({ state }) => state === 'ready')) this.#onStarted?.();
  }

  workerNotForked(worker: SupervisedWorker, cause: NodeJS.ErrnoException): void {
    this.#updateReadiness();
    this.#onStarted?.(
      new FarmError(
        'FARM_ERR_FORK',
        `Worker ${worker.index} could not be forked (${cause.message}): the system has no descriptors, processes or memory left for it. Raise the limit (ulimit -n, ulimit -u), or start fewer workers.`,
        { cause },
      ),
    );
  }

  workerFailed(worker: SupervisedWorker, reason: string): void {
    this.#log.error({ worker: worker.index, reason }, 'worker could not start');
    this.#onStarted?.(bootstrapError(worker.index, reason));
  }

  workerTimedOut(worker: SupervisedWorker): void {
    const { app, appStartTimeoutMs } = this.#config;
    const error = new FarmError(
      'FARM_ERR_APP_START_TIMEOUT',
      `Worker ${worker.index} did not load ${app} within ${appStartTimeoutMs} ms (appStartTimeoutMs).`,
    );
    this.#onStarted?.(error);
  }

  workerHasRoom(): void {
    this.#entrance.placeWaiting();
    this.#acceptor.resume();
  }

  workerReturned(worker: SupervisedWorker, sockets: readonly AcceptedSocket[]): void {
    this.#entrance.takeBack(worker, sockets);
  }

  workerReported(): void {
    this.#updateReadiness();
  }

  workerReplaced({ counters }: WorkerReport): void {
    addCounts(this.#retiredCounts, counters);
  }

  workerEnded(worker: SupervisedWorker): void {
    this.#ports.get(worker.index)?.detach();
    this.#ports.delete(worker.index);
    this.#unwatched.delete(worker);
    this.#entrance.workerEnded(worker);
    this.#leases.leave(worker);
    if (this.#state === 'starting') {
      this.#onStarted?.(bootstrapError(worker.index, 'it exited before it was ready; see its output'));
      return;
    }
    this.#updateReadiness();
    this.#stopIfDone();
  }

  workerSaid(worker: SupervisedWorker, message: ForwardedMessage): void {
    switch (message.type) {
      case 'broker':
        this.#ports.get(worker.index)?.receive(message.message);
        return;
      case 'addresses':
        this.#entrance.noted(worker, message.payload);
        return;
      case 'query':
        this.#answer(worker, message).catch((error: unknown) =>
          this.#guard.failed('a question of a worker', error),
        );
        return;
      case 'lease':
        if (message.isWanted) this.#leases.ask(worker);
        else this.#leases.leave(worker);
        return;
      default:
        assertNever(message);
    }
  }

  async #answer(worker: SupervisedWorker, query: Extract<WorkerMessage, { type: 'query' }>): Promise<void> {
    const answer: QueryAnswer =
      query.question === 'info'
        ? { kind: 'info', info: await this.info() }
        : { kind: 'channels', farm: await channelsOf(this.#workers, query.pattern) };
    worker.send({ type: 'answer', id: query.id, answer });
  }

  /** A worker has a process: its acknowledgements and its broker are received. */
  workerStarted(worker: SupervisedWorker): void {
    const { descriptors } = worker;
    if (descriptors === undefined) return;
    this.#unwatched.add(worker);
    this.#watch(worker, descriptors);
    const offer = (message: ExchangeToWorkerMessage): boolean => {
      try {
        return worker.offer({ type: 'broker', message });
      } catch (error) {
        this.#guard.failed('passing on a publication', error);
        return false;
      }
    };
    this.#ports.set(worker.index, this.#exchange.attach(worker.index, offer, worker));
  }

  #handle(count: number): void {
    const { events } = this.#poller;
    for (let at = 0; at < count * EVENT_FIELDS; at += EVENT_FIELDS) {
      this.#guardedEvent(events[at] ?? 0);
    }
  }

  #handleEvent(id: number): void {
    if (id === LISTENER_ID) this.#acceptor.run();
    else this.#workers[id - WORKER_IDS]?.readAcknowledgements();
  }

  /** The kernel may have no memory, or no watches left for it: until it has, acknowledgements are looked for. */
  #watch(worker: SupervisedWorker, descriptors: number): void {
    const outcome = this.#poller.watchDescriptor(descriptors, WORKER_IDS + worker.index, Interest.readable);
    if (outcome === 0) {
      this.#unwatched.delete(worker);
      return;
    }
    this.#counters.add('watch_errors');
    this.#log.error({ worker: worker.index, errno: -outcome }, 'worker could not be watched; trying again');
  }

  #updateReadiness(): void {
    const readiness = readinessOf(this.#state, this.#workers);
    if (JSON.stringify(readiness) === JSON.stringify(this.#readiness)) return;
    this.#readiness = readiness;
    if (readiness.ready) this.#onReady();
    if (this.#state === 'running') this.#log.info({ ...readiness }, 'readiness changed');
    for (const worker of this.#workers) {
      if (worker.state === 'ready' || worker.state === 'draining')
        worker.send({ type: 'readiness', readiness });
    }
  }

  #checkLiveness(): void {
    const now = performance.now();
    const pause = now - this.#lastLivenessCheck;
    this.#lastLivenessCheck = now;
    for (const worker of this.#workers) {
      // A check that comes this late means that we were stopped ourselves, and what workers said has not been read yet.
      if (pause > 4 * LIVENESS_MS) worker.forgiveSilence(now);
      this.#guard.run('the look at a worker', () => {
        worker.updateLag(now);
        worker.checkLiveness(now);
        // What an exception has kept from being sent.
        worker.flush();
      });
    }
    for (const worker of this.#unwatched) {
      if (worker.descriptors !== undefined) this.#watch(worker, worker.descriptors);
      worker.readAcknowledgements();
    }
    // A full farm has waited for connections that were ending.
    this.workerHasRoom();
    this.#stopIfDone();
  }

  #stopIfDone(): void {
    if (this.#state !== 'draining' || this.#workers.some(({ state }) => state !== 'stopped')) return;
    this.#state = 'stopped';
    clearInterval(this.#livenessTimer);
    clearTimeout(this.#forceTimer);
    this.#entrance.stop();
    this.#leases.stop();
    this.#exchange.stop();
    this.#poller.destroy();
    this.#onStopped();
  }
}

function bootstrapError(worker: number, reason: string): FarmError {
  return new FarmError('FARM_ERR_WORKER_BOOTSTRAP', `Worker ${worker} could not start: ${reason}`);
}
