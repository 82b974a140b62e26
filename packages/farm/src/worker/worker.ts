import { MemoryBroker, type Broker } from '@roost/broker';
import type { RedisBroker } from '@roost/broker/redis';
import type { App, WorkerContext } from '../api/app.ts';
import { channelNameProblem } from '../options/channel-name.ts';
import { assertNever } from '../link/assert-never.ts';
import type { Link, LinkHandlers } from '../link/link.ts';
import type { TlsCredentials } from '../link/tls-credentials.ts';
import type { AskAnswer, MasterMessage, WorkerMessage, WorkerReport } from '../link/messages.ts';
import { Counters } from '../api/counters.ts';
import { globMatcher } from '../options/glob.ts';
import type { ChannelInfo, Readiness } from '../api/info.ts';
import type { FarmConfig, UncaughtExceptionPolicy } from '../options/options.ts';
import { AddressCounts } from './master-link/address-counts.ts';
import { describeError } from './app/app-host.ts';
import { assemble } from './assemble.ts';
import { CpuLease } from './fan-out/cpu-lease.ts';
import { BrokerEvents } from './fan-out/broker-events.ts';
import { LinkLog } from './master-link/link-log.ts';
import { Collection } from './upkeep/collection.ts';
import { ConnectionTable } from './rows/connection-table.ts';
import type { Core } from './core.ts';
import { drainConnections } from './upkeep/drain.ts';
import { Heartbeat } from './upkeep/heartbeat.ts';
import { Hub } from './fan-out/hub.ts';
import { CloseCode } from '../api/close-codes.ts';
import { MasterQueries } from './master-link/queries.ts';
import { ReleaseReports } from './master-link/release-reports.ts';
import type { TlsConnections } from './sockets/tls/tls-streams.ts';
import { WorkerEvents } from './sockets/poll-events.ts';

export interface WorkerOptions {
  readonly worker: number;
  readonly config: FarmConfig;
  readonly link: Link<MasterMessage, WorkerMessage>;
  /** Our end of the descriptor pair. */
  readonly descriptors: number;
  /** Connections it takes; `reservedConnections` come on top. */
  readonly capacity: number;
  /** Where its main thread is pinned; null when it is not. */
  readonly cpu: number | null;
  /** Makes the apps, once everything that they may ask for is there. */
  readonly loadApps: (context: WorkerContext) => Promise<readonly App[]>;
  /** The worker has stopped, or cannot go on. */
  readonly onStopped: (code: number) => void;
  /** What the port speaks TLS with. Null, as by default, when it does not. */
  readonly tls?: TlsCredentials | null;
  /** Others have the same CPU. Default false. */
  readonly sharesCpu?: boolean;
  /** Overwrites received bytes after each batch, so that tests see who keeps views of them. Default false. */
  readonly poisonSlab?: boolean;
}

/** Parts that are loaded only where the configuration asks for them. */
export interface WorkerParts {
  readonly Redis?: typeof RedisBroker | undefined;
  readonly Tls?: typeof TlsConnections | undefined;
}

const REPORT_MS = 1000;

/**
 * How long a start waits for the broker, in ms. It waits so that the first clients need not be told of a gap; and no longer,
 * since /health/live must answer while Redis accepts and is silent.
 */
const BROKER_PATIENCE_MS = 1000;

/**
 * One worker: puts the parts together, gives each event of the poller to the part that its row's state asks for, and
 * answers the master. It knows nothing of the process that it runs in: see main.ts.
 */
export class Worker implements LinkHandlers<MasterMessage> {
  readonly #options: WorkerOptions;
  readonly #link: Link<MasterMessage, WorkerMessage>;
  readonly #core: Core;
  readonly #events: WorkerEvents;
  readonly #heartbeat: Heartbeat;
  readonly #queries: MasterQueries;
  readonly #memoryBroker: MemoryBroker | undefined;
  readonly #reportTimer: NodeJS.Timeout;
  #readiness: Readiness = { ready: false, reasons: ['the farm is starting'] };
  #isStopping = false;

  /** What only some need is given to those: ioredis is a large part of an empty worker, node:tls a small one. */
  constructor(options: WorkerOptions, { Redis, Tls }: WorkerParts = {}) {
    const { config, link, tls = null, sharesCpu = false, poisonSlab = false } = options;
    this.#options = options;
    this.#link = link;
    const rows = options.capacity + config.reservedConnections;
    const counters = new Counters();
    const log = new LinkLog(link, counters);
    const table = new ConnectionTable(rows);
    const hub = new Hub(table.firstSubscriptions, (name) => broker.unsubscribe(name));
    const handlers = new BrokerEvents(
      () => core,
      () => this.#report(),
    );
    const broker: Broker =
      Redis === undefined
        ? makeMemoryBroker(config, link, handlers, hub)
        : new Redis({
            url: config.redisUrl ?? '',
            prefix: config.redisPrefix,
            handlers,
            wanted: hub,
            subscribeTimeoutMs: config.subscribeTimeoutMs,
          });
    this.#memoryBroker = broker instanceof MemoryBroker ? broker : undefined;
    this.#events = new WorkerEvents(() => core, poisonSlab);
    const released = new ReleaseReports(link, () => core.lifecycle.released);
    const poller = this.#events.makePoller(table);
    const addresses = new AddressCounts(config, link);
    const lease = new CpuLease(link, counters, sharesCpu ? config.broadcastTurnMs : 0);
    const noteReleased = (): void => released.note();
    const core: Core = assemble(
      { config, log, counters, table, addresses, hub, broker, poller, lease, noteReleased },
      tls === null || Tls === undefined ? undefined : (parts) => new Tls(parts, tls, poisonSlab),
    );
    this.#core = core;
    core.lease.open(() => core.broadcaster.leaseGranted());
    this.#heartbeat = new Heartbeat(core);
    this.#queries = new MasterQueries(link);
    const collection = new Collection(core);
    this.#reportTimer = setInterval(() => {
      this.#report();
      collection.step();
    }, REPORT_MS);
  }

  /**
   * Loads the apps, connects the broker, and tells the master that it is ready; also without the broker, when that takes
   * its time. When an app cannot be loaded, releases everything and rejects with what the app threw.
   */
  async start(): Promise<void> {
    const { loadApps: load, descriptors, capacity, cpu } = this.#options;
    try {
      this.#core.apps.use(await load(this.#context()));
      await Promise.race([this.#core.broker.start(), waited(BROKER_PATIENCE_MS)]);
      this.#events.adopt(descriptors);
      this.#link.send({ type: 'ready', capacity, cpu }, true);
      this.#report();
    } catch (error) {
      this.#isStopping = true;
      await this.#release();
      throw error;
    }
  }

  /** What fails here leaves a worker in a state that nobody knows: it says so, and ends. */
  linkOnMessage(message: MasterMessage): void {
    try {
      this.#told(message);
    } catch (error) {
      this.#core.log.fatal({ message: message.type, error: describeError(error) }, 'worker failed; it ends');
      throw error;
    }
  }

  #told(message: MasterMessage): void {
    switch (message.type) {
      case 'readiness':
        this.#readiness = message.readiness;
        return;
      case 'broker':
        this.#memoryBroker?.onMessage(message.message);
        return;
      case 'addresses':
        this.#core.addresses.told(message.payload);
        return;
      case 'lease':
        this.#core.lease.granted();
        return;
      case 'answer':
        this.#queries.answered(message.id, message.answer);
        return;
      case 'ask':
        this.#link.send({ type: 'answer', id: message.id, answer: this.#answer(message) }, true);
        return;
      case 'drain':
        this.#drain(message.drainMs).catch((error: unknown) => this.#failed(error));
        return;
      case 'tls':
        this.#useTls(message.credentials);
        return;
      case 'start':
        return;
      default:
        assertNever(message);
    }
  }

  /** Something of an app failed outside of any hook. */
  appFailed(where: string, error: unknown): void {
    this.#core.apps.report(where, error);
  }

  /** An app threw outside of any hook, where nobody caught it. Tells what to do: after `exit` nothing may run any more. */
  appThrew(error: unknown): UncaughtExceptionPolicy {
    const { config, counters, log } = this.#core;
    if (config.uncaughtException === 'log') {
      this.appFailed('uncaught exception', error);
      return 'log';
    }
    counters.add('app_errors');
    log.fatal({ error: describeError(error) }, 'uncaught exception: the worker ends');
    this.#report();
    return 'exit';
  }

  /** The master is gone: without it nobody would give us sockets, or end us. */
  linkOnClose(reason: string): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    void this.#release().finally(() => this.#options.onStopped(reason === '' ? 0 : 1));
  }

  #failed(error: unknown): void {
    this.#core.log.fatal({ error: describeError(error) }, 'worker failed; it ends');
    this.#options.onStopped(1);
  }

  /** The master has tried them; but what cannot be used here must not cost the connections that have others. */
  #useTls(credentials: TlsCredentials): void {
    const { tls, counters, log } = this.#core;
    try {
      tls?.use(credentials);
    } catch (error) {
      counters.add('tls_reload_errors');
      log.error({ error: describeError(error) }, 'TLS certificate not taken: the one in use stays');
    }
  }

  #answer(ask: Extract<MasterMessage, { type: 'ask' }>): AskAnswer {
    if (ask.question === 'report') return { kind: 'report', report: this.#reportNow() };
    const matches = globMatcher(ask.pattern);
    const channels: ChannelInfo[] = [];
    for (const [channel, subscribers] of this.#core.hub.subscriberCounts()) {
      if (matches(channel)) channels.push({ channel, subscribers });
    }
    return { kind: 'channels', channels };
  }

  #report(): void {
    if (this.#isStopping) return;
    this.#link.send({ type: 'report', report: this.#reportNow() }, true);
  }

  #reportNow(): WorkerReport {
    const { counters, hub, broker, outbound } = this.#core;
    return {
      connections: counters.get('upgrades') - counters.get('closed'),
      subscriptions: hub.subscriptionCount,
      outboundBytes: outbound.heldBytes,
      broker: { state: broker.state, reason: broker.stateReason },
      counters: counters.snapshot(),
    };
  }

  #context(): WorkerContext {
    const { log, subscriptions, counters, config } = this.#core;
    return {
      worker: this.#options.worker,
      options: this.#options.config.appOptions,
      log,
      publish: (channel, data) => subscriptions.publish(channel, data),
      info: () => this.#queries.info(),
      channels: (pattern = '*') => this.#queries.channels(pattern),
      readiness: () => this.#readiness,
      channelNameProblem: (name) => channelNameProblem(name, config.maxChannelBytes),
      count: (name) => counters.add(name),
    };
  }

  async #drain(drainMs: number): Promise<void> {
    if (this.#core.isDraining) return;
    this.#core.isDraining = true;
    const closed = await drainConnections(this.#core, drainMs);
    this.#report();
    this.#link.send({ type: 'drained', closed }, true);
    this.#isStopping = true;
    await this.#release();
    this.#link.close();
    this.#options.onStopped(0);
  }

  /** Ends everything that would keep the process, or a test, alive. */
  async #release(): Promise<void> {
    const { timeouts, expirations, poller, apps, broker, broadcaster, config, table, lifecycle, addresses } =
      this.#core;
    clearInterval(this.#reportTimer);
    this.#heartbeat.stop();
    this.#queries.stop();
    for (let slot = 0; slot < table.highWater; slot++) lifecycle.finish(slot, CloseCode.goingAway, '');
    timeouts.stop();
    expirations.stop();
    addresses.stop();
    const isLate = waited(config.stopTimeoutMs);
    await Promise.race([apps.stop(), isLate]);
    await Promise.race([broker.stop(), isLate]);
    broadcaster.stop();
    poller.destroy();
  }
}

function waited(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}

function makeMemoryBroker(
  config: FarmConfig,
  link: Link<MasterMessage, WorkerMessage>,
  handlers: BrokerEvents,
  wanted: Hub,
): MemoryBroker {
  return new MemoryBroker({
    handlers,
    wanted,
    link: {
      send: (message) => link.send({ type: 'broker', message }) === 'sent',
      setReading: (isReading) => link.setReading(isReading),
    },
    subscribeTimeoutMs: config.subscribeTimeoutMs,
    maxInFlightBytes: config.maxWorkerLinkBytes,
  });
}
