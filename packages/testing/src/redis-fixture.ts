import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestingError } from './errors.ts';
import { within } from './eventually.ts';
import { registerFixture } from './fixtures.ts';
import { freePort } from './free-port.ts';
import { killGroup, spawnGroup } from './process-group.ts';
import type { CapturedProcess, ExitStatus } from './process-group.ts';

/** How often another free port is tried when somebody else took the first. */
const START_ATTEMPTS = 5;

/** The last output kept for error messages, in characters. */
const OUTPUT_CHARACTERS = 4_000;

export interface RedisOptions {
  /** More arguments for redis-server, such as `['--requirepass', 'secret']`. */
  readonly args?: readonly string[];
}

export interface SentinelOptions {
  readonly masterName: string;
  readonly masterPort: number;
  /** How many sentinels must agree that the master is gone. */
  readonly quorum: number;
  /** More lines of its configuration, such as `requirepass secret`. */
  readonly lines?: readonly string[];
}

let isInstalled: boolean | undefined;

/** Whether there is a `redis-server` to start. */
export function redisIsInstalled(): boolean {
  isInstalled ??= spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).status === 0;
  return isInstalled;
}

/**
 * Starts a real `redis-server` on a free port of 127.0.0.1, without persistence, in a directory of its own.
 * Stop it when done. Rejects with `TESTING_REDIS_MISSING` when none is installed.
 */
export async function startRedis(options: RedisOptions = {}): Promise<RedisFixture> {
  if (!redisIsInstalled()) {
    throw new TestingError(
      'TESTING_REDIS_MISSING',
      'This spec needs a redis-server and found none in PATH: run apt-get install redis-server.',
    );
  }
  return started(options.args ?? []);
}

/** Starts a real sentinel (`redis-server --sentinel`) that watches a master on 127.0.0.1 and takes 500 ms of silence for its end. */
export function startSentinel({
  masterName,
  masterPort,
  quorum,
  lines = [],
}: SentinelOptions): Promise<RedisFixture> {
  return started(
    [],
    [
      `sentinel monitor ${masterName} 127.0.0.1 ${masterPort} ${quorum}`,
      `sentinel down-after-milliseconds ${masterName} 500`,
      `sentinel failover-timeout ${masterName} 3000`,
      ...lines,
    ],
  );
}

async function started(args: readonly string[], sentinelLines?: readonly string[]): Promise<RedisFixture> {
  for (let attempt = 1; ; attempt += 1) {
    const fixture = new RedisFixture(await freePort(), args, sentinelLines);
    try {
      await fixture.restart();
      return fixture;
    } catch (error) {
      await fixture.stop();
      if (attempt === START_ATTEMPTS) throw error;
    }
  }
}

/** A Redis of one's own. It can be killed, stopped and started again on the same port. */
export class RedisFixture {
  readonly port: number;
  readonly #args: readonly string[];
  readonly #sentinelLines: readonly string[] | undefined;
  readonly #directory: string;
  readonly #release: () => void;
  #process: CapturedProcess | undefined;
  #exited: Promise<ExitStatus> | undefined;

  /** Starts nothing yet: use {@link startRedis}. */
  constructor(port: number, args: readonly string[], sentinelLines?: readonly string[]) {
    this.port = port;
    this.#args = args;
    this.#sentinelLines = sentinelLines;
    this.#directory = mkdtempSync(join(tmpdir(), 'roost-redis-'));
    this.#release = registerFixture({
      what: `redis-server on port ${port}`,
      terminate: () => {
        this.#end();
        this.#removeDirectory();
      },
    });
  }

  /** Without credentials: `redis://127.0.0.1:<port>`. */
  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Of the running server; undefined while none runs. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Sends a signal: SIGSTOP and SIGCONT make it silent and let it go on; SIGKILL (default) ends it. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#process?.kill(signal);
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') return;
    await this.#waitForExit();
  }

  /** Ends the server if it runs, and starts it again on the same port, empty. Resolves when it is ready. */
  async restart(): Promise<void> {
    this.#end();
    await this.#waitForExit();
    const child = spawnGroup('redis-server', this.#arguments());
    let output = '';
    const exited = new Promise<ExitStatus>((resolve) => {
      child.once('exit', (code, signal) => {
        if (this.#process === child) this.#process = undefined;
        resolve({ code, signal });
      });
    });
    const ready = new Promise<void>((resolve, reject) => {
      const capture = (chunk: Buffer): void => {
        output = (output + chunk.toString()).slice(-OUTPUT_CHARACTERS);
        if (/Ready to accept connections|Sentinel ID is/.test(output)) resolve();
      };
      child.stdout.on('data', capture);
      child.stderr.on('data', capture);
      child.once('error', reject);
      exited.then(
        ({ code, signal }) =>
          reject(
            new TestingError(
              'TESTING_START_FAILED',
              `redis-server on port ${this.port} ended with ${code ?? signal} before it was ready: ${output}`,
            ),
          ),
        reject,
      );
    });
    // Rejected at every ordinary end, too, long after anybody listens.
    ready.catch(() => {});
    this.#process = child;
    this.#exited = exited;
    await within(ready, { what: `redis-server on port ${this.port} is ready`, seen: () => output });
  }

  /**
   * Sends one command on a connection of its own and returns the reply:
   * `await redis.command('CLIENT', 'PAUSE', '500')`.
   */
  async command(name: string, ...args: (string | Buffer)[]): Promise<unknown> {
    const { Redis } = await import('ioredis');
    const client = new Redis(this.url, { retryStrategy: () => null, lazyConnect: true });
    // What goes wrong is also the rejection of connect or call.
    client.on('error', () => {});
    try {
      await client.connect();
      return await client.call(name, ...args);
    } finally {
      client.disconnect();
    }
  }

  /** The port that the connection of this name (CLIENT SETNAME) comes from, as the server sees it. */
  async clientPort(name: string): Promise<number> {
    const list = String(await this.command('CLIENT', 'LIST'));
    return Number(new RegExp(` addr=127\\.0\\.0\\.1:(\\d+) .* name=${name} `).exec(list)?.[1]);
  }

  /** Ends the server and removes its directory. Calling it twice is safe. */
  async stop(): Promise<void> {
    this.#end();
    await this.#waitForExit();
    this.#removeDirectory();
    this.#release();
  }

  /** A sentinel writes what it learns into its configuration file, so it must have one. */
  #arguments(): string[] {
    if (this.#sentinelLines === undefined) return [...quietServer(this.port, this.#directory), ...this.#args];
    const file = join(this.#directory, 'sentinel.conf');
    const lines = [`port ${this.port}`, 'bind 127.0.0.1', `dir ${this.#directory}`, ...this.#sentinelLines];
    writeFileSync(file, `${lines.join('\n')}\n`);
    return [file, '--sentinel'];
  }

  #end(): void {
    // There is nothing to save, and SIGKILL also ends a server that was stopped with SIGSTOP.
    if (this.#process?.pid !== undefined) killGroup(this.#process.pid);
  }

  async #waitForExit(): Promise<void> {
    if (this.#exited === undefined) return;
    await within(this.#exited, { what: `redis-server on port ${this.port} ends` });
  }

  #removeDirectory(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Arguments of a server that keeps nothing and logs to stdout. */
function quietServer(port: number, directory: string): string[] {
  const options = {
    port: String(port),
    bind: '127.0.0.1',
    dir: directory,
    save: '',
    appendonly: 'no',
    daemonize: 'no',
    logfile: '',
  };
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
}
