import type { App, WorkerContext } from '../api/app.ts';
import type { ChannelInfo, Readiness } from '../api/info.ts';
import { assertNever } from '../link/assert-never.ts';
import { newConnectionIdSecret, type ConnectionIdSecret } from '../link/connection-id-secret.ts';
import type { Link, LinkHandlers } from '../link/link.ts';
import type { MasterMessage, WorkerMessage } from '../link/messages.ts';
import type { WorkerReport } from '../link/worker-report.ts';
import type { Asked, AskAnswer } from '../link/questions.ts';
import type { TlsCredentials } from '../link/tls-credentials.ts';
import { channelNameProblem } from '../options/channel-name.ts';
import { globMatcher } from '../options/glob.ts';
import type { FarmConfig, UncaughtExceptionPolicy } from '../options/options.ts';
import { describeError } from './app/app-host.ts';
import { assemble, type Assembled, type LoadedParts } from './assemble.ts';
import { LiveConnection } from './app/live-connection.ts';
import { channelQuestions } from './fan-out/channel-questions.ts';
import { storeCounts } from './fan-out/store-counts.ts';
import { MasterQueries } from './master-link/queries.ts';
import { drainConnections, retireConnections } from './upkeep/drain.ts';
import { largestChannels } from './upkeep/largest-channels.ts';
import { Operations } from './upkeep/operations.ts';
import { WorkerMeasures } from './upkeep/worker-measures.ts';
import { releaseParts, waited } from './upkeep/release.ts';

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
  /** Whether other workers are pinned to the same CPU. Default false. */
  readonly sharesCpu?: boolean;
  /** The same for all workers of a farm. Default: one of its own. */
  readonly ids?: ConnectionIdSecret;
  /** Overwrites received bytes after each batch, so that tests see who keeps views of them. Default false. */
  readonly poisonSlab?: boolean;
}

const REPORT_MS = 1000;

/**
 * How long a start waits for the broker, in ms. It waits so that the first clients need not be told of a gap; and no longer,
 * since /health/live must answer while Redis accepts and is silent.
 */
const BROKER_PATIENCE_MS = 1000;

/**
 * One worker, as its master sees it: it starts, does what the master says, answers its questions, and ends. It knows nothing
 * of the process that it runs in: see main.ts.
 */
export class Worker implements LinkHandlers<MasterMessage> {
  readonly #options: WorkerOptions;
  readonly #link: Link<MasterMessage, WorkerMessage>;
  readonly #parts: Assembled;
  readonly #queries: MasterQueries;
  readonly #measures: WorkerMeasures;
  readonly #operations: Operations;
  readonly #reportTimer: NodeJS.Timeout;
  #readiness: Readiness = { ready: false, reasons: ['the farm is starting'] };
  #isStopping = false;

  constructor(options: WorkerOptions, loaded: LoadedParts = {}) {
    const { config, link, tls = null, sharesCpu = false, poisonSlab = false } = options;
    const { ids = newConnectionIdSecret() } = options;
    this.#options = options;
    this.#link = link;
    this.#parts = assemble({
      config,
      link,
      tls,
      sharesCpu,
      ids,
      poisonSlab,
      loaded,
      rowCount: options.capacity + config.reservedConnections,
      onBrokerState: () => this.#report(),
    });
    this.#queries = new MasterQueries(link);
    this.#measures = new WorkerMeasures(this.#parts);
    this.#operations = new Operations(options.worker, this.#parts);
    this.#reportTimer = setInterval(() => {
      this.#report();
      this.#parts.collection.step();
    }, REPORT_MS);
  }

  /**
   * Loads the apps, connects the broker, and tells the master that it is ready; also without the broker, when that takes
   * its time. When an app cannot be loaded, releases everything and rejects with what the app threw.
   */
  async start(): Promise<void> {
    const { loadApps: load, descriptors, capacity, cpu } = this.#options;
    try {
      const apps = await load(this.#context());
      this.#parts.apps.use(apps);
      await Promise.race([this.#parts.broker.start(), waited(BROKER_PATIENCE_MS)]);
      this.#parts.adopt(descriptors);
      const facts = apps.map(({ version = null }, index) => ({
        name: this.#parts.apps.keyOf(index),
        version,
      }));
      this.#link.sendUrgent({ type: 'ready', capacity, cpu, apps: facts });
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
      this.#parts.log.fatal({ message: message.type, error: describeError(error) }, 'worker failed; it ends');
      throw error;
    }
  }

  #told(message: MasterMessage): void {
    switch (message.type) {
      case 'readiness':
        this.#readiness = message.readiness;
        return;
      case 'broker':
        this.#parts.memoryBroker?.onMessage(message.message);
        return;
      case 'reap':
        this.#parts.broker.store.reap(message.owner);
        return;
      case 'addresses':
        this.#parts.addresses.told(message.payload);
        return;
      case 'lease':
        this.#parts.lease.granted();
        return;
      case 'shares':
        this.#parts.lease.share(message.sharesCpu ? this.#parts.config.broadcastTurnMs : 0);
        return;
      case 'answer':
        this.#queries.answered(message.id, message.answer);
        return;
      case 'ask':
        this.#answer(message.id, message.asked);
        return;
      case 'drain':
        this.#drain(message).catch((error: unknown) => this.#failed(error));
        return;
      case 'tls':
        this.#useTls(message.credentials);
        return;
      case 'move':
        this.#parts.moves.begin(message);
        return;
      case 'moveStop':
        this.#parts.moves.stop(message.move);
        return;
      case 'moveDead':
        this.#parts.moves.dead(message.move, message.side);
        return;
      case 'retire':
        this.#retire(message).catch((error: unknown) => this.#failed(error));
        return;
      case 'start':
        return;
      default:
        assertNever(message);
    }
  }

  /** Something of an app failed outside of any hook. */
  appFailed(where: string, error: unknown): void {
    this.#parts.apps.report(where, error);
  }

  /** An app threw outside of any hook, where nobody caught it. Tells what to do: after `exit` nothing may run any more. */
  appThrew(error: unknown): UncaughtExceptionPolicy {
    const { config, counters, log } = this.#parts;
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
    this.#parts.log.fatal({ error: describeError(error) }, 'worker failed; it ends');
    this.#options.onStopped(1);
  }

  /** The master has tried them; but what cannot be used here must not cost the connections that have others. */
  #useTls(credentials: TlsCredentials): void {
    const { tls, counters, log } = this.#parts;
    try {
      tls?.use(credentials);
    } catch (error) {
      counters.add('tls_reload_errors');
      log.error({ error: describeError(error) }, 'TLS certificate not taken: the one in use stays');
    }
  }

  #answer(id: number, asked: Asked): void {
    const answered = (answer: AskAnswer): void => void this.#link.sendUrgent({ type: 'answer', id, answer });
    switch (asked.question) {
      case 'report':
        answered({ kind: 'report', report: this.#reportNow() });
        return;
      case 'metrics':
        answered({ kind: 'metrics', report: this.#reportNow(), measured: this.#measures.read() });
        return;
      case 'channels':
        answered({ kind: 'channels', channels: this.#channels(asked.pattern) });
        return;
      case 'topChannels':
        largestChannels(this.#countsOf(asked.by), asked.limit).then(
          (channels) => answered({ kind: 'channels', channels }),
          (error: unknown) => this.#failed(error),
        );
        return;
      default:
        this.#operations.answer(asked).then(answered, (error: unknown) => this.#failed(error));
    }
  }

  #countsOf(by: 'subscribers' | 'members'): Iterable<readonly [string, number]> {
    const { subscriptions, memberships } = this.#parts;
    return by === 'members' ? memberships.counts() : subscriptions.subscriberCounts();
  }

  #channels(pattern: string): ChannelInfo[] {
    const matches = globMatcher(pattern);
    const channels: ChannelInfo[] = [];
    for (const [channel, subscribers] of this.#parts.subscriptions.subscriberCounts()) {
      if (matches(channel)) channels.push({ channel, subscribers });
    }
    return channels;
  }

  #report(): void {
    if (this.#isStopping) return;
    this.#link.sendUrgent({ type: 'report', report: this.#reportNow() });
  }

  #reportNow(): WorkerReport {
    const { counters, subscriptions, broker, outbound } = this.#parts;
    return {
      connections:
        counters.get('upgrades') +
        counters.get('moved_in') -
        counters.get('closed') -
        counters.get('moved_out'),
      subscriptions: subscriptions.count,
      outboundBytes: outbound.heldBytes,
      broker: { state: broker.state, reason: broker.stateReason },
      counters: { ...counters.snapshot(), ...storeCounts(broker.store.counters) },
    };
  }

  #context(): WorkerContext {
    const { log, subscriptions, userCommands, broker, counters, config } = this.#parts;
    return {
      worker: this.#options.worker,
      options: this.#options.config.appOptions,
      log,
      publish: (channel, data, options) => subscriptions.publish(channel, data, options),
      sendToUser: (user, data) => userCommands.send(user, data),
      disconnectUser: (user, options) => userCommands.disconnect(user, options),
      join: (connection, request) =>
        connection instanceof LiveConnection ? connection.join(request) : Promise.resolve('gone'),
      ...channelQuestions(broker),
      info: () => this.#queries.info(),
      channels: (pattern) => this.#queries.channels(pattern),
      readiness: () => this.#readiness,
      channelNameProblem: (name) => channelNameProblem(name, config.maxChannelBytes),
      count: (name) => counters.add(name),
    };
  }

  /** Its connections are other workers' now; what could not move ends, and then the worker does. */
  async #retire(retirement: Extract<MasterMessage, { type: 'retire' }>): Promise<void> {
    if (this.#parts.draining.isDraining) return;
    this.#parts.draining.isDraining = true;
    const closed = await retireConnections(this.#parts, retirement);
    this.#report();
    this.#link.sendUrgent({ type: 'retired', closed });
    this.#isStopping = true;
    await this.#release();
    this.#link.close();
    this.#options.onStopped(0);
  }

  async #drain(drain: Extract<MasterMessage, { type: 'drain' }>): Promise<void> {
    if (this.#parts.draining.isDraining) return;
    this.#parts.draining.isDraining = true;
    const closed = await drainConnections(this.#parts, drain);
    this.#report();
    this.#link.sendUrgent({ type: 'drained', closed });
    this.#isStopping = true;
    await this.#release();
    this.#link.close();
    this.#options.onStopped(0);
  }

  /** Ends everything that would keep the process, or a test, alive. */
  #release(): Promise<void> {
    clearInterval(this.#reportTimer);
    this.#queries.stop();
    this.#measures.stop();
    return releaseParts(this.#parts);
  }
}
