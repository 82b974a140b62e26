import type { Greeting } from '../clients/clients.ts';
import { LoadError } from '../errors.ts';
import { capacityPerProcess, findObstacles, type MachineLimits, readLimits } from '../limits.ts';
import { phantomLinks } from '../phantom/phantom-link.ts';
import { Latencies, type LatencySummary } from '../report/latencies.ts';
import { mergeCounts, mergeReports, type Progress, type Report } from '../report/report.ts';
import type { EchoResult, WatchResult } from '../report/result.ts';
import type { Target } from '../target.ts';
import type { EchoPlan } from './echo-run.ts';
import { type CommandResult, ProcessLink } from './process-link.ts';
import type { Command } from './process-messages.ts';

export interface CoordinatorOptions {
  /** The program's main module; see ProcessLink. */
  readonly entry: string;
  readonly target: Target;
  readonly greeting: Greeting;
  /** See MessageTemplate. */
  readonly messageTemplate: string;
  /** null: as many as `connections` need. */
  readonly processes: number | null;
  /** The most that will be open at a time; checked against this machine's limits before anything is opened. */
  readonly connections: number;
  readonly sourceAddresses: readonly string[];
  readonly handshakeTimeoutMs: number;
  /** Clients in user space, in the namespace of this process; null: those of the kernel. See StackOptions for what is in it. */
  readonly phantom: { readonly disturbedPerMillion: number } | null;
}

export interface OpenRequest {
  readonly count: number;
  /** Of all processes together; 0 sets no pace. */
  readonly perSecond: number;
  /** Of all processes together. */
  readonly inFlight: number;
  readonly isChurn: boolean;
  /** Which process opens them all, from 0 on; undefined: each opens as even a share as it goes. */
  readonly process: number | undefined;
}

/** Threads that collect garbage for a process which goes before all others would wait for a CPU, and it for them. */
const PHANTOM_ARGUMENTS = ['--single-threaded-gc'];

/** Spreads the work over load processes, and adds up what they report. */
export class Coordinator {
  readonly #links: ProcessLink[] = [];
  readonly #interval = new Latencies();
  #nextNumber = 0;
  #onProgress: () => void = () => {};

  /**
   * Checks the machine's limits and starts the load processes. Throws LOAD_ERR_LIMIT, with all that has to be changed,
   * LOAD_ERR_PROCESS when a process cannot do its work.
   */
  static async start(options: CoordinatorOptions): Promise<Coordinator> {
    const { target, greeting, messageTemplate, sourceAddresses, handshakeTimeoutMs, phantom } = options;
    const { processes, capacity } = phantom === null ? planKernelClients(options) : planPhantoms(options);
    const links = phantom === null ? [] : phantomLinks(processes, phantom.disturbedPerMillion);
    const coordinator = new Coordinator();
    for (let i = 0; i < processes; i++) {
      coordinator.#links.push(
        new ProcessLink(options.entry, phantom === null ? [] : PHANTOM_ARGUMENTS, (progress) => {
          if (progress?.interval !== undefined) coordinator.#interval.add(progress.interval);
          coordinator.#onProgress();
        }),
      );
    }
    try {
      await coordinator.#askAll((index) => ({
        type: 'start',
        options: {
          target,
          greeting,
          messageTemplate,
          sourceAddresses,
          phantom: links[index] ?? null,
          capacity,
          handshakeTimeoutMs,
        },
      }));
    } catch (error) {
      await coordinator.stop();
      throw error;
    }
    return coordinator;
  }

  get processCount(): number {
    return this.#links.length;
  }

  /** Sums of what the processes last said of themselves, at most a fifth of a second old. */
  get progress(): Progress {
    const all = this.#links.map((link) => link.progress);
    const sum = (pick: (progress: Progress) => number) => all.reduce((total, one) => total + pick(one), 0);
    return {
      pending: sum((one) => one.pending),
      open: sum((one) => one.open),
      connected: sum((one) => one.connected),
      failed: mergeCounts(all.map((one) => one.failed)),
      messages: sum((one) => one.messages),
      deliveries: sum((one) => one.deliveries),
      isSatisfied:
        all.some((one) => one.isSatisfied) && all.every((one) => one.isSatisfied || one.open === 0),
    };
  }

  /** Latencies that were told since this was asked last. */
  takeInterval(): LatencySummary {
    const summary = this.#interval.summary();
    this.#interval.reset();
    return summary;
  }

  /** Resolves when each has opened or failed. Numbers go on from one call to the next. */
  async open(request: OpenRequest): Promise<Report> {
    const { process } = request;
    const shares =
      process === undefined
        ? this.#share(request.count)
        : this.#links.map((_, index) => (index === process ? request.count : 0));
    const parts = process === undefined ? this.#links.length : 1;
    const inFlight = Math.max(1, Math.ceil(request.inFlight / parts));
    const perSecond = request.perSecond === 0 ? 0 : Math.max(1, request.perSecond / parts);
    const results = await this.#askAll((index) => {
      const count = shares[index] ?? 0;
      const firstNumber = this.#nextNumber;
      this.#nextNumber += count;
      return { type: 'open', plan: { firstNumber, count, perSecond, inFlight, isChurn: request.isChurn } };
    });
    return mergeReports(results.map(({ report }) => report));
  }

  /** Abandons what an `open` under way has not begun. */
  async cancel(): Promise<void> {
    await this.#askAll(() => ({ type: 'cancel' }));
  }

  /** Echoes over `plan.connections` of the open connections; see EchoRun. */
  async echo(plan: EchoPlan): Promise<EchoResult> {
    const shares = this.#share(plan.connections);
    const startedAt = performance.now();
    const results = await this.#askAll((index) => {
      const connections = shares[index] ?? 0;
      return {
        type: 'echo',
        plan: { ...plan, connections, perSecond: (plan.perSecond * connections) / plan.connections },
      };
    });
    const seconds = (performance.now() - startedAt) / 1000;
    const latencies = new Latencies();
    let connections = 0;
    let echoes = 0;
    let wrong = 0;
    let unanswered = 0;
    for (const { echo } of results) {
      if (echo === undefined) continue;
      latencies.add(echo.latencies);
      connections += echo.connections;
      echoes += echo.echoes;
      wrong += echo.wrong;
      unanswered += echo.unanswered;
    }
    return {
      connections,
      seconds,
      echoes,
      echoesPerSecond: Math.round(echoes / seconds),
      wrong,
      unanswered,
      latencyMs: latencies.summary(),
      histogram: latencies.encode(),
    };
  }

  /** Looks for publications from now on, anew. */
  async watch(): Promise<void> {
    await this.#askAll(() => ({ type: 'watch' }));
  }

  /** What was seen since {@link watch}. */
  async watched(): Promise<WatchResult> {
    const latencies = new Latencies();
    let deliveries = 0;
    let outOfOrder = 0;
    for (const { watch } of await this.#askAll(() => ({ type: 'report' }))) {
      if (watch === undefined) continue;
      latencies.add(watch.latencies);
      deliveries += watch.deliveries;
      outOfOrder += watch.outOfOrder;
    }
    return { deliveries, outOfOrder, latencyMs: latencies.summary(), histogram: latencies.encode() };
  }

  /** Makes so many open connections stop reading. */
  async pause(count: number): Promise<void> {
    const shares = this.#share(count);
    await this.#askAll((index) => ({ type: 'pause', count: shares[index] ?? 0 }));
  }

  /**
   * Waits until every open connection has received `messages` since the last reset. False when `timeoutMs` passed
   * first, or when `signal` was aborted. Rejects with LOAD_ERR_PROCESS as soon as a process dies.
   */
  async waitForMessages(messages: number, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    await this.#askAll(() => ({ type: 'expect', messages }));
    return await this.#wait(timeoutMs, signal, () => this.progress.isSatisfied);
  }

  /** Waits until so many publications were delivered since {@link watch}, as {@link waitForMessages} does. */
  async waitForDeliveries(count: number, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    return await this.#wait(timeoutMs, signal, () => this.progress.deliveries >= count);
  }

  /** Waits for `timeoutMs` to pass or `signal` to be aborted. */
  async hold(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    await this.#wait(timeoutMs, signal, () => false);
  }

  /** Zeroes the counts of messages, failures and closes. */
  async reset(): Promise<void> {
    await this.#askAll(() => ({ type: 'reset' }));
  }

  /** Closes all connections with 1000 and resolves when they are gone. */
  async close(): Promise<Report> {
    return mergeReports((await this.#askAll(() => ({ type: 'close' }))).map(({ report }) => report));
  }

  async report(): Promise<Report> {
    return mergeReports((await this.#askAll(() => ({ type: 'report' }))).map(({ report }) => report));
  }

  /** Ends the load processes, and with them whatever is still open. Safe to call twice. */
  async stop(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.stop()));
  }

  #askAll(commandFor: (index: number) => Command): Promise<CommandResult[]> {
    return Promise.all(this.#links.map((link, index) => link.ask(commandFor(index))));
  }

  /** Splits a count over the processes as evenly as it goes. */
  #share(count: number): number[] {
    const processes = this.#links.length;
    return this.#links.map((_, index) => Math.floor((count + index) / processes));
  }

  async #wait(timeoutMs: number, signal: AbortSignal | undefined, isDone: () => boolean): Promise<boolean> {
    if (isDone()) return true;
    if (signal?.aborted === true) return false;
    return await new Promise<boolean>((resolve, reject) => {
      const finish = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', finish);
        this.#onProgress = () => {};
        const failure = this.#links.find((link) => link.failure !== undefined)?.failure;
        if (failure === undefined) resolve(isDone());
        else reject(failure);
      };
      const timer = setTimeout(finish, timeoutMs);
      signal?.addEventListener('abort', finish);
      this.#onProgress = () => {
        if (isDone() || this.#links.some((link) => link.failure !== undefined)) finish();
      };
    });
  }
}

interface ProcessPlan {
  readonly processes: number;
  /** Of each. */
  readonly capacity: number;
}

/** Throws LOAD_ERR_LIMIT when this machine does not allow so many. */
function planKernelClients({
  connections,
  target,
  sourceAddresses,
  ...options
}: CoordinatorOptions): ProcessPlan {
  const limits = readLimits();
  const processes = options.processes ?? processesFor(connections, limits);
  const wish = {
    connections,
    processes,
    sourceAddresses: sourceAddresses.length,
    isLoopback: target.address.startsWith('127.') || target.address === '::1',
    isTls: target.tls !== null,
  };
  const obstacles = findObstacles(wish, limits);
  if (obstacles.length > 0) throw new LoadError('LOAD_ERR_LIMIT', obstacles.join('\n'));
  return { processes, capacity: Math.min(capacityPerProcess(limits), connections) };
}

/** They take no descriptors and no ports; one process drives as many as a server on the same machine can bear. */
function planPhantoms({ connections, ...options }: CoordinatorOptions): ProcessPlan {
  const processes = options.processes ?? 1;
  return { processes, capacity: Math.ceil(connections / processes) };
}

function processesFor(connections: number, limits: MachineLimits): number {
  return Math.max(1, Math.ceil(connections / Math.max(1, capacityPerProcess(limits))));
}
