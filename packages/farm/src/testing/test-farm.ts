import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { Socket } from 'node:net';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { MessageData } from '../api/connection.ts';
import type { FarmInfo } from '../api/info.ts';
import type { FarmOptions } from '../options/options.ts';
import { Changes } from './changes.ts';
import type { WaitOptions } from './changes.ts';
import { TestingError } from './errors.ts';
import type { TestAppOptions, TestLogLine, TestMessageFromFarm, TestMessageToFarm } from './messages.ts';
import { TestClient } from './test-client.ts';
import type { ConnectOptions } from './test-client.ts';

/** From the sources (in our own specs) the farm is started from the build all the same: Node 20 runs no TypeScript. */
const FARM_MAIN = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../dist/testing/main.js' : './main.js', import.meta.url),
);

/** Shorter than the 5 s and 10 s after which vitest gives up on a test and on a hook: our errors say more. */
const DEADLINE_MS = 4000;
const START_DEADLINE_MS = 9000;

/** So that an app which keeps in a module what belongs to all clients is found out. */
const WORKERS = 2;

/** The most that is kept of the log, in lines, and of the output, in characters; and how many lines an error shows. */
const MAX_LOG_LINES = 10_000;
const MAX_OUTPUT_CHARACTERS = 64 * 1024;
const SHOWN_LINES = 20;

/** How a test farm runs: the options of `startFarm()` that make sense in a test, and those of the test. */
export interface TestFarmOptions extends Omit<
  FarmOptions,
  'app' | 'host' | 'port' | 'log' | 'tls' | 'proxyProtocol'
> {
  /** Worker processes, 1 to 1024. Default 2, so that what workers do not share is found out. */
  readonly workers?: number;
  /** Default 0: connections are closed at once when the farm stops. */
  readonly drainMs?: number;
  /** Default 0: a test needs no worker that is fast from its first client on. */
  readonly warmUpMs?: number;
  /** Added to the environment of this process, for the app. Default: nothing. */
  readonly env?: Readonly<Record<string, string>>;
  /** Options of Node for the processes of the farm, such as `--enable-source-maps`. Default: none. */
  readonly execArgv?: readonly string[];
  /** For each wait, in ms. Default 4,000: vitest gives up on a test after 5 s. */
  readonly deadlineMs?: number;
  /** Until the farm has started, in ms. Default 9,000: vitest gives up on a hook after 10 s. */
  readonly startDeadlineMs?: number;
}

/**
 * Starts a farm that runs an app, on a free port of 127.0.0.1, as in production: a process for the master, and one for each
 * worker. `app` is the module whose default export is the app (`defineApp()`), in JavaScript or TypeScript: a path (a relative
 * one is of the working directory) or a `file:` URL. Stop it when done; should the test process end before, however it does,
 * the farm ends too.
 *
 * Rejects with a {@link TestingError}: TESTING_START_FAILED (the app could not be loaded, or an option is wrong) or
 * TESTING_DEADLINE; with what was logged and printed. Nothing is left running then.
 */
export async function startTestFarm(app: string | URL, options: TestFarmOptions = {}): Promise<TestFarm> {
  const {
    env,
    execArgv = [],
    deadlineMs = DEADLINE_MS,
    startDeadlineMs = START_DEADLINE_MS,
    ...rest
  } = options;
  const publishPath = `/.test-farm/${randomUUID()}`;
  const appOptions: TestAppOptions = { app: urlOf(app), appOptions: rest.appOptions, publishPath };
  const child = fork(FARM_MAIN, {
    env: { ...process.env, ...env },
    // Those of the test process are for its runner.
    execArgv: [...execArgv],
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const farm = new TestFarm(child, publishPath, deadlineMs);
  try {
    await farm.start(
      { workers: WORKERS, drainMs: 0, warmUpMs: 0, ...rest, host: '127.0.0.1', port: 0, appOptions },
      startDeadlineMs,
    );
    return farm;
  } catch (error) {
    await farm.kill();
    throw error;
  }
}

function urlOf(app: string | URL): string {
  if (app instanceof URL) return app.href;
  return app.startsWith('file:') ? app : pathToFileURL(resolve(app)).href;
}

/** A farm that runs an app under test. Made by {@link startTestFarm}. It does not keep the process alive. */
export class TestFarm {
  readonly #child: ChildProcess;
  readonly #publishPath: string;
  readonly #deadlineMs: number;
  readonly #changes = new Changes();
  readonly #clients = new Set<TestClient>();
  readonly #logs: TestLogLine[] = [];
  readonly #infos = new Map<number, FarmInfo | Error>();
  #asked = 0;
  #output = '';
  #port: number | undefined;
  #failure: string | undefined;
  #hasEnded = false;
  #stopping: Promise<void> | undefined;

  /** @internal */
  constructor(child: ChildProcess, publishPath: string, deadlineMs: number) {
    this.#child = child;
    this.#publishPath = publishPath;
    this.#deadlineMs = deadlineMs;
    child.on('message', (message: TestMessageFromFarm) => this.#told(message));
    child.once('error', (error) => {
      this.#failure ??= error.message;
      // Without a process there is no 'close'.
      if (child.pid === undefined) this.#end();
    });
    // 'close', not 'exit': all that it printed is read by then.
    child.once('close', () => this.#end());
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-MAX_OUTPUT_CHARACTERS);
      });
      if (stream instanceof Socket) stream.unref();
    }
    child.unref();
    child.channel?.unref();
  }

  /** @internal */
  async start(
    options: Extract<TestMessageToFarm, { type: 'start' }>['options'],
    deadlineMs: number,
  ): Promise<void> {
    this.#tell({ type: 'start', options });
    const look = (): number | undefined => {
      if (!this.#hasEnded) return this.#port;
      throw new TestingError('TESTING_START_FAILED', `The farm did not start: ${this.#seen()}`);
    };
    await this.#changes.until(look, { deadlineMs, what: 'the farm starts', seen: () => this.#seen() });
  }

  /** The port on which it listens, on 127.0.0.1. */
  get port(): number {
    return this.#port ?? 0;
  }

  /** `ws://127.0.0.1:<port>`, for clients of your own. */
  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** `http://127.0.0.1:<port>`, for requests to the `http` hook. */
  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The log of the farm so far, but for its level `debug`: at most 10,000 lines. A hook that threw is `app hook failed`. */
  get logs(): readonly TestLogLine[] {
    return this.#logs;
  }

  /** What its processes have printed (`console.log` of the app), at most the last 65,536 characters. */
  get output(): string {
    return this.#output;
  }

  /**
   * Connects a WebSocket client. `path` has the query, too: `/chat?room=7`. Rejects with an {@link UpgradeRefusedError} when the
   * server answers anything but 101, with the error of the socket when it cannot be reached, and with TESTING_DEADLINE.
   */
  async connect(path = '/', options: ConnectOptions = {}): Promise<TestClient> {
    this.#checkRunning();
    const client = await TestClient.connect(`${this.url}${path}`, {
      deadlineMs: this.#deadlineMs,
      ...options,
    });
    this.#clients.add(client);
    return client;
  }

  /**
   * Publishes to every subscriber of the channel on every worker: text when the bytes are valid UTF-8, else binary.
   * Resolves when the broker has taken it, which is before all have it. Rejects with TESTING_PUBLISH_FAILED, such as for a
   * name that no channel can have.
   */
  async publish<Data>(
    channel: string,
    data: MessageData<Data, 'publish() takes a string or bytes; use JSON.stringify(value)'>,
  ): Promise<void> {
    this.#checkRunning();
    const response = await fetch(
      `${this.origin}${this.#publishPath}?channel=${encodeURIComponent(channel)}`,
      {
        method: 'POST',
        // A connection that is kept would outlive the farm.
        headers: { Connection: 'close' },
        body: Buffer.from(data),
        signal: AbortSignal.timeout(this.#deadlineMs),
      },
    );
    const reason = await response.text();
    if (response.ok) return;
    throw new TestingError('TESTING_PUBLISH_FAILED', `The broker did not take the publication: ${reason}`);
  }

  /** Figures of the farm; `counters.app_errors` counts hooks that threw. Rejects with TESTING_STOPPED or TESTING_DEADLINE. */
  async info({ deadlineMs = this.#deadlineMs }: WaitOptions = {}): Promise<FarmInfo> {
    this.#checkRunning();
    const id = this.#asked++;
    this.#tell({ type: 'info', id });
    const look = (): FarmInfo | undefined => {
      const info = this.#infos.get(id);
      this.#infos.delete(id);
      if (info instanceof Error) throw info;
      if (info === undefined && this.#hasEnded) throw this.#stoppedError();
      return info;
    };
    const what = 'the farm says how it is';
    return this.#changes.until(look, { deadlineMs, what, seen: () => this.#seen() });
  }

  /**
   * Ends everything: drains as at SIGTERM (connections are closed with 1001, `close` and `stop` hooks run), waits until no
   * process of the farm is left, and ends its clients. Safe to call twice. Rejects with TESTING_DEADLINE when it does not end
   * in time; it has been killed then.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** For `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** @internal */
  async kill(): Promise<void> {
    // Its workers end with it.
    this.#child.kill('SIGKILL');
    await this.#untilEnded();
  }

  async #stop(): Promise<void> {
    try {
      this.#tell({ type: 'stop' });
      await this.#untilEnded();
    } catch (error) {
      await this.kill();
      throw error;
    } finally {
      for (const client of this.#clients) client.terminate();
    }
  }

  #untilEnded(): Promise<true> {
    const look = (): true | undefined => (this.#hasEnded ? true : undefined);
    const what = 'the farm ends';
    return this.#changes.until(look, { deadlineMs: this.#deadlineMs, what, seen: () => this.#seen() });
  }

  #told(message: TestMessageFromFarm): void {
    if (message.type === 'ready') this.#port = message.port;
    if (message.type === 'failed') this.#failure = message.reason;
    if (message.type === 'log' && this.#logs.length < MAX_LOG_LINES) this.#logs.push(message.line);
    if (message.type === 'info') this.#infos.set(message.id, message.info);
    if (message.type === 'noInfo') {
      this.#infos.set(message.id, new TestingError('TESTING_STOPPED', message.reason));
    }
    this.#changes.notify();
  }

  /** What it cannot be told any more it need not know: its end is seen anyway. */
  #tell(message: TestMessageToFarm): void {
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  #end(): void {
    this.#hasEnded = true;
    this.#changes.notify();
  }

  #checkRunning(): void {
    if (this.#hasEnded || this.#stopping !== undefined) throw this.#stoppedError();
  }

  #stoppedError(): TestingError {
    return new TestingError('TESTING_STOPPED', `The farm has ended: ${this.#seen()}`);
  }

  #seen(): string {
    const lines = this.#logs
      .slice(-SHOWN_LINES)
      .map(({ level, message, fields }) => `${level}: ${message} ${JSON.stringify(fields)}`);
    const known = this.#failure === undefined ? lines : [this.#failure];
    return [...known, this.#output].join('\n').trim();
  }
}
