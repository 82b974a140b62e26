import type { IncomingMessage, ServerResponse } from 'node:http';
import type { App, UpgradeDecision, UpgradeRequest } from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import { CloseCode } from '../../api/close-codes.ts';
import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { ConnectionTable } from '../rows/connection-table.ts';
import type { ConnectionPort } from './connection-port.ts';
import { checkDecision } from './decision.ts';
import { LiveConnection } from './live-connection.ts';
import { isPromise } from './promises.ts';

/** What {@link AppHost.decide} answers: the decision, and which app made it. */
export interface Decided {
  readonly decision: UpgradeDecision;
  readonly app: number;
}

export interface AppHostParts {
  readonly config: Pick<FarmConfig, 'borrowMessages'>;
  readonly table: ConnectionTable;
  readonly counters: Counters;
  readonly log: Log;
}

/**
 * Runs the applications' hooks, each guarded: what a hook throws or rejects with ends that one connection (1011), is
 * counted and logged, and reaches nobody else. The row remembers which app accepted it.
 */
export class AppHost {
  readonly #borrowMessages: boolean;
  readonly #table: ConnectionTable;
  readonly #counters: Counters;
  readonly #log: Log;
  #port!: ConnectionPort;
  #apps: readonly App[] = [];

  constructor({ config, table, counters, log }: AppHostParts) {
    this.#borrowMessages = config.borrowMessages;
    this.#table = table;
    this.#counters = counters;
    this.#log = log;
  }

  /** What the connections of the hooks ask; given once. */
  connect(port: ConnectionPort): void {
    this.#port = port;
  }

  /** The apps to run; set once, before the first socket is adopted. */
  use(apps: readonly App[]): void {
    this.#apps = apps;
  }

  /** Asks the apps in order who takes the request; the first that answers does. Throws what a hook throws. */
  decide(request: UpgradeRequest): Decided | Promise<Decided> {
    for (let index = 0; index < this.#apps.length; index++) {
      const answer = this.#apps[index]?.upgrade?.(request);
      if (isPromise(answer)) return this.#decideFrom(request, index, answer);
      const decision = checkDecision(answer);
      if (decision !== undefined) return { decision, app: index };
    }
    return { decision: undefined, app: 0 };
  }

  async #decideFrom(
    request: UpgradeRequest,
    first: number,
    pending: Promise<UpgradeDecision>,
  ): Promise<Decided> {
    let decision = checkDecision(await pending);
    for (let index = first; ;) {
      if (decision !== undefined) return { decision, app: index };
      if (++index >= this.#apps.length) return { decision: undefined, app: 0 };
      decision = checkDecision(await this.#apps[index]?.upgrade?.(request));
    }
  }

  open(slot: number): void {
    const app = this.#appOf(slot);
    if (app.open === undefined) return;
    this.#run(slot, 'open', () => app.open?.(this.connection(slot)));
  }

  /** `bytes` from `start` to `end` are one message; they are overwritten after this returns. */
  message(slot: number, bytes: Buffer, start: number, end: number, isBinary: boolean): void {
    const app = this.#appOf(slot);
    if (app.message === undefined) return;
    let data: Buffer;
    if (this.#borrowMessages) {
      data = bytes.subarray(start, end);
    } else {
      data = Buffer.allocUnsafe(end - start);
      bytes.copy(data, 0, start, end);
    }
    this.#deliver(app, slot, data, isBinary);
  }

  /** A message in memory of its own, which the app may keep. */
  ownedMessage(slot: number, data: Buffer, isBinary: boolean): void {
    this.#deliver(this.#appOf(slot), slot, data, isBinary);
  }

  /** No closure on this path: one message is one object for the connection and one copy of the data. */
  #deliver(app: App, slot: number, data: Buffer, isBinary: boolean): void {
    if (app.message === undefined) return;
    const generation = this.#table.generation(slot);
    try {
      const result = app.message(new LiveConnection(this.#port, slot, generation), data, isBinary);
      if (isPromise(result)) this.#guard(result, slot, generation, 'message');
    } catch (error) {
      this.#failed(slot, generation, 'message', error);
    }
  }

  writable(slot: number): void {
    const app = this.#appOf(slot);
    if (app.writable === undefined) return;
    this.#run(slot, 'writable', () => app.writable?.(this.connection(slot)));
  }

  /** The connection has ended; `closed` has what was known of it while its row was still there. */
  closed(appIndex: number, closed: Connection, code: number, reason: string): void {
    const app = this.#apps[appIndex];
    if (app?.close === undefined) return;
    this.#run(-1, 'close', () => app.close?.(closed, code, reason));
  }

  hasCloseHook(appIndex: number): boolean {
    return this.#apps[appIndex]?.close !== undefined;
  }

  connection(slot: number): Connection {
    return new LiveConnection(this.#port, slot, this.#table.generation(slot));
  }

  /** True when an app has taken the request. */
  http(request: IncomingMessage, response: ServerResponse): boolean {
    for (const app of this.#apps) {
      if (app.http === undefined) continue;
      try {
        const taken = app.http(request, response);
        if (taken === false) continue;
        if (isPromise(taken)) this.#guardHttp(taken, response);
      } catch (error) {
        this.#httpFailed(response, error);
      }
      return true;
    }
    return false;
  }

  /** Counts and logs what a hook threw outside of any connection. */
  report(hook: string, error: unknown): void {
    this.#counters.add('app_errors');
    this.#log.error({ hook, error: describeError(error) }, 'app hook failed');
  }

  async stop(): Promise<void> {
    for (const app of this.#apps) {
      try {
        await app.stop?.();
      } catch (error) {
        this.report('stop', error);
      }
    }
  }

  #appOf(slot: number): App {
    return this.#apps[this.#table.apps[slot] ?? 0] ?? NO_APP;
  }

  #run(slot: number, hook: string, call: () => void | Promise<void>): void {
    const generation = slot < 0 ? 0 : this.#table.generation(slot);
    try {
      const result = call();
      if (isPromise(result)) this.#guard(result, slot, generation, hook);
    } catch (error) {
      this.#failed(slot, generation, hook, error);
    }
  }

  #guard(result: Promise<void>, slot: number, generation: number, hook: string): void {
    result.then(undefined, (error: unknown) => this.#failed(slot, generation, hook, error));
  }

  #guardHttp(taken: Promise<unknown>, response: ServerResponse): void {
    taken.then(undefined, (error: unknown) => this.#httpFailed(response, error));
  }

  #failed(slot: number, generation: number, hook: string, error: unknown): void {
    this.report(hook, error);
    if (slot >= 0 && this.#table.isCurrent(slot, generation)) {
      this.#port.close(slot, CloseCode.internalError, 'the application failed');
    }
  }

  #httpFailed(response: ServerResponse, error: unknown): void {
    this.report('http', error);
    if (response.headersSent) response.destroy();
    else response.writeHead(500, { 'Content-Type': 'text/plain' }).end('the application failed\n');
  }
}

const NO_APP: App = {};

export function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
