import { closeDescriptor, EVENT_FIELDS, localAddress, Poller } from '@roost/poller';
import { assertNever } from '../link/assert-never.ts';
import type { TlsCredentials } from '../link/tls-credentials.ts';
import { newConnectionIdSecret } from '../link/connection-id-secret.ts';
import type { QueryAnswer, WorkerMessage } from '../link/messages.ts';
import { Counters } from '../api/counters.ts';
import { FarmError } from '../api/errors.ts';
import type { Farm } from '../api/farm.ts';
import type { FarmChanges } from '../api/changes.ts';
import type { ChannelEvents } from '../api/channel-events.ts';
import type { FarmInfo, Readiness } from '../api/info.ts';
import type { FarmOperations } from '../api/operations.ts';
import type { FarmMetrics } from '../api/metrics.ts';
import type { Log } from '../api/log.ts';
import type { FarmConfig } from '../options/options.ts';
import type { TlsOptions } from '../api/tls.ts';
import { Acknowledgements } from './workers/acknowledgements.ts';
import { Acceptor } from './entrance/acceptor.ts';
import { Brokers } from './workers/brokers.ts';
import { channelsOf } from './workers/ask-workers.ts';
import { CpuLeases } from './workers/cpu-leases.ts';
import { Entrance } from './entrance/entrance.ts';
import { Arrivals } from './entrance/arrivals.ts';
import type { AcceptedSocket } from './entrance/hand-off.ts';
import { Guard } from './guard.ts';
import { Operator } from './farm-operations.ts';
import { FarmFigures } from './farm-figures.ts';
import { OwnMeasures } from './own-measures.ts';
import { openListener } from './entrance/listener.ts';
import { readinessOf } from './workers/readiness.ts';
import { Moving } from './moves/moving.ts';
import { Places } from './workers/places.ts';
import type { WorkerLife } from './workers/worker-life.ts';
import type { ForwardedMessage, SupervisionHooks } from './workers/supervision-hooks.ts';
import type { TlsKeeper } from './tls-keeper.ts';

const LISTENER_ID = 0;
const LIFE_IDS = 1;
const LIVENESS_MS = 250;

/**
 * The master: puts the parts together and looks after the workers. The acceptor accepts sockets, the entrance decides which
 * of them may enter and where. The master never reads a byte from a client's socket.
 *
 *     starting ─► running ─► draining ─► stopped
 */
export class Master implements Farm, SupervisionHooks<WorkerLife> {
  readonly port: number;
  readonly stopped: Promise<void>;
  readonly ready: Promise<void>;
  readonly operations: FarmOperations;
  readonly changes: FarmChanges;
  readonly channelEvents: ChannelEvents | undefined;
  readonly #config: FarmConfig;
  readonly #log: Log;
  readonly #tls: TlsKeeper;
  readonly #counters = new Counters();
  readonly count: Farm['count'] = (name, count) => this.#counters.add(name, count);
  readonly #poller: Poller;
  readonly #acceptor: Acceptor;
  readonly #places: Places;
  readonly #moving: Moving;
  readonly #figures: FarmFigures;
  readonly #leases: CpuLeases;
  readonly #brokers: Brokers;
  readonly #acknowledgements: Acknowledgements;
  readonly #guard: Guard;
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
    redisEvents: ChannelEvents | undefined,
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
    this.#acknowledgements = new Acknowledgements(this.#poller, LIFE_IDS, this.#counters, log);
    const parts = { config, log, counters: this.#counters, guard };
    this.#places = new Places(cpus, newConnectionIdSecret(), parts, this);
    const { all: lives } = this.#places.lives;
    this.#moving = new Moving(
      { ...parts, places: this.#places },
      {
        addressesMoved: (from, to, payload) => this.#entrance.moved(from, to, payload),
        hasRoom: () => this.workerHasRoom(),
        isRunning: () => this.#state === 'running',
        isReady: () => this.#readiness.ready,
      },
    );
    this.changes = this.#moving.changes;
    this.#brokers = new Brokers(config, guard, redisEvents);
    this.channelEvents = this.#brokers.events;
    const own = new OwnMeasures(this.#counters, log, this.#brokers);
    this.#figures = new FarmFigures(config, this.#places, own);
    const arrivals = new Arrivals();
    this.operations = new Operator(lives, config, arrivals, this.#moving);
    this.#leases = new CpuLeases(config.broadcastTurnMs, this.#counters, guard);
    // Copies of sockets that are not acknowledged are descriptors of ours.
    const maxUnacknowledged = Math.floor(descriptorLimit / 4);
    const isTls = (): boolean => tls.credentials !== null;
    this.#entrance = new Entrance(
      config,
      lives,
      this.#counters,
      { maxUnacknowledged, cpus: cpus.length, arrivals },
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
    this.#places.start();
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
    for (const worker of this.#places.lives.all) {
      if (worker.state === 'ready' || worker.state === 'starting') worker.send({ type: 'tls', credentials });
    }
  }

  readiness(): Readiness {
    return this.#readiness;
  }

  info(): Promise<FarmInfo> {
    return this.#figures.info(() => this.#readiness);
  }

  metrics(): Promise<FarmMetrics> {
    return this.#figures.metrics(() => this.#readiness);
  }

  async drain(): Promise<void> {
    if (this.#state === 'draining' || this.#state === 'stopped') return this.stopped;
    const { drainMs, stopTimeoutMs } = this.#config;
    this.#state = 'draining';
    this.#updateReadiness();
    this.#closeListener();
    this.#log.info({ drainMs }, 'farm draining');
    this.#moving.stop();
    this.#places.drain(drainMs);
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
    this.#places.stop();
    this.#stopIfDone();
  }

  #closeListener(): void {
    this.#guard.run('closing the listener', () => this.#acceptor.close());
  }

  // Supervision

  tls(): TlsCredentials | null {
    return this.#tls.credentials;
  }

  workerReady(worker: WorkerLife): void {
    this.#entrance.workerReady();
    this.#brokers.workerReady(worker);
    worker.send({ type: 'readiness', readiness: this.#readiness });
    this.#updateReadiness();
    this.workerHasRoom();
    this.#moving.workerReady(worker);
    if (this.#places.areReady) this.#onStarted?.();
  }

  workerNotForked(worker: WorkerLife, cause: NodeJS.ErrnoException): void {
    this.#moving.workerEnded(worker, 0);
    this.#updateReadiness();
    this.#onStarted?.(
      new FarmError(
        'FARM_ERR_FORK',
        `Worker ${worker.index} could not be forked (${cause.message}): the system has no descriptors, processes or memory left for it. Raise the limit (ulimit -n, ulimit -u), or start fewer workers.`,
        { cause },
      ),
    );
  }

  workerFailed(worker: WorkerLife, reason: string): void {
    this.#log.error({ worker: worker.index, reason }, 'worker could not start');
    this.#moving.workerFailed(worker, reason);
    this.#onStarted?.(bootstrapError(worker.index, reason));
  }

  workerTimedOut(worker: WorkerLife): void {
    const { app, appStartTimeoutMs } = this.#config;
    const limit = `within ${appStartTimeoutMs} ms (appStartTimeoutMs)`;
    this.#moving.workerFailed(worker, `its app was not loaded ${limit}`);
    this.#onStarted?.(
      new FarmError('FARM_ERR_APP_START_TIMEOUT', `Worker ${worker.index} did not load ${app} ${limit}.`),
    );
  }

  workerHasRoom(): void {
    this.#entrance.placeWaiting();
    this.#acceptor.resume();
  }

  workerReturned(worker: WorkerLife, sockets: readonly AcceptedSocket[]): void {
    this.#entrance.takeBack(worker, sockets);
  }

  workerReported(worker: WorkerLife): void {
    this.#moving.workerReported(worker);
    this.#updateReadiness();
  }

  workerEnded(worker: WorkerLife, lost: number): void {
    this.#brokers.workerEnded(worker, this.#places.lives.all);
    this.#acknowledgements.workerEnded(worker);
    this.#entrance.workerEnded(worker);
    this.#leases.leave(worker);
    this.#moving.workerEnded(worker, lost);
    if (this.#state === 'starting') {
      this.#onStarted?.(bootstrapError(worker.index, 'it exited before it was ready; see its output'));
      return;
    }
    this.#updateReadiness();
    this.#stopIfDone();
  }

  workerSaid(worker: WorkerLife, message: ForwardedMessage): void {
    switch (message.type) {
      case 'broker':
      case 'owner':
        this.#brokers.workerSaid(worker, message);
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
      case 'moved':
      case 'moveNeedsDeath':
      case 'moveEnded':
      case 'retired':
        this.#moving.workerSaid(worker, message);
        return;
      default:
        assertNever(message);
    }
  }

  async #answer(worker: WorkerLife, query: Extract<WorkerMessage, { type: 'query' }>): Promise<void> {
    const answer: QueryAnswer =
      query.question === 'info'
        ? { kind: 'info', info: await this.info() }
        : { kind: 'channels', farm: await channelsOf(this.#places.lives.all, query.pattern) };
    worker.send({ type: 'answer', id: query.id, answer });
  }

  /** A worker has a process: its acknowledgements and its broker are received. */
  workerStarted(worker: WorkerLife): void {
    this.#acknowledgements.workerStarted(worker);
    this.#brokers.workerStarted(worker);
  }

  #handle(count: number): void {
    const { events } = this.#poller;
    for (let at = 0; at < count * EVENT_FIELDS; at += EVENT_FIELDS) {
      this.#guardedEvent(events[at] ?? 0);
    }
  }

  #handleEvent(id: number): void {
    if (id === LISTENER_ID) this.#acceptor.run();
    else this.#places.lives.byId(id - LIFE_IDS)?.readAcknowledgements();
  }

  #updateReadiness(): void {
    const readiness = readinessOf(this.#state, this.#places.currentLives);
    if (JSON.stringify(readiness) === JSON.stringify(this.#readiness)) return;
    this.#readiness = readiness;
    if (readiness.ready) this.#onReady();
    if (this.#state === 'running') this.#log.info({ ...readiness }, 'readiness changed');
    for (const worker of this.#places.lives.all) {
      if (worker.state === 'ready' || worker.state === 'draining')
        worker.send({ type: 'readiness', readiness });
    }
  }

  #checkLiveness(): void {
    const now = performance.now();
    const elapsed = now - this.#lastLivenessCheck;
    this.#lastLivenessCheck = now;
    // A check that comes this late means that we were stopped ourselves, and what workers said has not been read yet.
    const pause = elapsed > 4 * LIVENESS_MS ? elapsed : 0;
    this.#places.look(now, pause);
    this.#moving.look(now, pause);
    this.#acknowledgements.look();
    // A full farm has waited for connections that were ending.
    this.workerHasRoom();
    this.#stopIfDone();
  }

  #stopIfDone(): void {
    if (this.#state !== 'draining' || !this.#places.areStopped) return;
    this.#state = 'stopped';
    clearInterval(this.#livenessTimer);
    clearTimeout(this.#forceTimer);
    this.#entrance.stop();
    this.#leases.stop();
    this.#figures.stop();
    this.#brokers.stop();
    this.#poller.destroy();
    this.#onStopped();
  }
}

function bootstrapError(worker: number, reason: string): FarmError {
  return new FarmError('FARM_ERR_WORKER_BOOTSTRAP', `Worker ${worker} could not start: ${reason}`);
}
