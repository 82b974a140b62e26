import type { IncomingMessage, ServerResponse } from 'node:http';
import type {
  App,
  CloseReplacement,
  MovedFrom,
  ReturnAtOnce,
  UpgradeDecision,
  UpgradeRequest,
} from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import { CloseCode } from '../../api/close-codes.ts';
import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { ConnectionTable } from '../rows/connection-table.ts';
import type { PendingWork } from '../rows/pending-work.ts';
import type { ConnectionPort } from './connection-port.ts';
import { constantsOf, replyTo, type AppConstants } from './constants.ts';
import { checkDecision } from './decision.ts';
import { LiveConnection } from './live-connection.ts';
import { Lanes } from './lanes.ts';
import { isPromise } from './promises.ts';

/** Characters of a name in the key of an app: 4 bytes each have room in a record. */
const MAX_KEY = 50;

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
  readonly pendingWork: PendingWork;
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
  readonly #pending: PendingWork;
  #port!: ConnectionPort;
  readonly #apps: Hooks[] = [];
  readonly #names: (string | undefined)[] = [];
  readonly #keys: string[] = [];
  readonly lanes = new Lanes((hook, error) => this.report(hook, error));

  constructor({ config, table, counters, log, pendingWork }: AppHostParts) {
    this.#borrowMessages = config.borrowMessages;
    this.#table = table;
    this.#counters = counters;
    this.#log = log;
    this.#pending = pendingWork;
  }

  /** What the connections of the hooks ask; given once. */
  connect(port: ConnectionPort): void {
    this.#port = port;
  }

  /** The apps to run; set once, before the first socket is adopted. */
  use(apps: readonly App[]): void {
    this.lanes.use(apps);
    this.#apps.push(...apps.map(hooksOf));
    for (const { name = 'app' } of apps) {
      const key = name.slice(0, MAX_KEY);
      let unique = key;
      for (let count = 2; this.#keys.includes(unique); count++) unique = `${key} ${count}`;
      this.#keys.push(unique);
    }
    this.#names.push(...apps.map((app) => (app.upgrade === undefined ? undefined : (app.name ?? 'app'))));
  }

  /** By their index; undefined for one that takes no connections. Several may have one name. */
  get names(): readonly (string | undefined)[] {
    return this.#names;
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
    if (app.constants.replies !== undefined && !isBinary && this.#reply(app, slot, bytes, start, end)) return;
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
    const app = this.#appOf(slot);
    if (app.constants.replies !== undefined && !isBinary && this.#reply(app, slot, data, 0, data.length))
      return;
    this.#deliver(app, slot, data, isBinary);
  }

  /** The text in place of a ping to this row, as a frame; undefined where pings are sent. */
  heartbeatOf(slot: number): Buffer | undefined {
    return this.#appOf(slot).constants.heartbeat;
  }

  /** What the row's app has in place of a close code of the worker's own. */
  closeReplacementOf(slot: number, code: number): CloseReplacement | undefined {
    return this.#appOf(slot).constants.closeCodes?.get(code);
  }

  /** By which code, and how often, a drain has clients of the row's app come back at once. */
  returnAtOnceOf(slot: number): ReturnAtOnce | undefined {
    return this.#appOf(slot).constants.returnAtOnce;
  }

  /** Whether the message is one that is answered by a constant; then it has been. */
  #reply({ constants }: Hooks, slot: number, bytes: Buffer, start: number, end: number): boolean {
    const reply = replyTo(constants.replies ?? [], bytes, start, end);
    if (reply === undefined) return false;
    if (reply.frame !== undefined && this.#table.isOpen(slot)) this.#port.sendFrame(slot, reply.frame);
    return true;
  }

  /** No closure on this path: one message is one object for the connection and one copy of the data. */
  #deliver(app: Hooks, slot: number, data: Buffer, isBinary: boolean): void {
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

  /** Whether any app wants to know that a connection is about to leave this process. */
  get hasHandoverHook(): boolean {
    return this.#apps.some(({ handover }) => handover !== undefined);
  }

  hasMovedHook(appIndex: number): boolean {
    return this.#apps[appIndex]?.moved !== undefined;
  }

  /** The connection is about to leave this process. What the hook throws is told, and costs nothing else. */
  handover(slot: number): void {
    const app = this.#appOf(slot);
    if (app.handover === undefined) return;
    try {
      // oxlint-disable-next-line typescript/no-confusing-void-expression -- JavaScript may return anything
      const result: unknown = app.handover(this.connection(slot));
      if (isPromise(result)) result.then(undefined, (error: unknown) => this.report('handover', error));
    } catch (error) {
      this.report('handover', error);
    }
  }

  /** The connection has come from another process. */
  moved(slot: number, from: MovedFrom): void {
    const app = this.#appOf(slot);
    if (app.moved === undefined) return;
    this.#run(slot, 'moved', () => app.moved?.(this.connection(slot), from));
  }

  /** By what an app is known to other workers, which may have others before it. */
  keyOf(appIndex: number): string {
    return this.#keys[appIndex] ?? '';
  }

  /** The app with this key; −1 without one. */
  indexOfKey(key: string): number {
    return this.#keys.indexOf(key);
  }

  /** The connection has ended; `closed` has what was known of it while its row was still there. */
  closed(appIndex: number, closed: Connection, code: number, reason: string): void {
    const app = this.#apps[appIndex];
    if (app?.close === undefined) return;
    this.#run(-1, 'close', () => app.close?.(closed, code, reason));
  }

  /** Whether subscriptions of the app's connections are counted. */
  hasOccupancy(appIndex: number): boolean {
    return this.#apps[appIndex]?.hasOccupancy === true;
  }

  /** Whether subscribers of the channel are told how many they are. */
  tellsCount(appIndex: number, channel: string): boolean {
    try {
      return this.#apps[appIndex]?.tellsCount?.(channel) === true;
    } catch (error) {
      this.report('tellsCount', error);
      return false;
    }
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

  #appOf(slot: number): Hooks {
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
    if (slot < 0) {
      result.then(undefined, (error: unknown) => this.#failed(slot, generation, hook, error));
      return;
    }
    this.#pending.begin(slot, generation);
    result.then(
      () => this.#pending.end(slot, generation),
      (error: unknown) => {
        this.#pending.end(slot, generation);
        this.#failed(slot, generation, hook, error);
      },
    );
  }

  #guardHttp(taken: Promise<unknown>, response: ServerResponse): void {
    taken.then(undefined, (error: unknown) => this.#httpFailed(response, error));
  }

  #failed(slot: number, generation: number, hook: string, error: unknown): void {
    this.report(hook, error);
    if (slot >= 0 && this.#table.isCurrent(slot, generation)) {
      this.#port.closeOwn(slot, CloseCode.internalError, 'the application failed');
    }
  }

  #httpFailed(response: ServerResponse, error: unknown): void {
    this.report('http', error);
    if (response.headersSent) response.destroy();
    else response.writeHead(500, { 'Content-Type': 'text/plain' }).end('the application failed\n');
  }
}

/** The hooks of one app, each bound to it. */
type Hooks = { readonly [Hook in HookName]: App[Hook] | undefined } & {
  readonly constants: AppConstants;
  readonly hasOccupancy: boolean;
};

type HookName =
  | 'tellsCount'
  | 'upgrade'
  | 'open'
  | 'message'
  | 'writable'
  | 'handover'
  | 'moved'
  | 'close'
  | 'http'
  | 'stop';

/** One shape for every app, whatever it leaves out: what V8 has compiled for one app fits all. */
function hooksOf(app: App): Hooks {
  return {
    tellsCount: app.tellsCount?.bind(app),
    hasOccupancy: app.occupancy === true,
    upgrade: app.upgrade?.bind(app),
    open: app.open?.bind(app),
    message: app.message?.bind(app),
    handover: app.handover?.bind(app),
    moved: app.moved?.bind(app),
    writable: app.writable?.bind(app),
    close: app.close?.bind(app),
    http: app.http?.bind(app),
    stop: app.stop?.bind(app),
    constants: constantsOf(app),
  };
}

const NO_APP = hooksOf({});

export function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
