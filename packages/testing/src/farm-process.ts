import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Changes } from './changes.ts';
import { TestingError } from './errors.ts';
import { DEADLINE_MS, eventually, within } from './eventually.ts';
import { registerFixture } from './fixtures.ts';
import { killGroup, livingMembers, signalGroup, spawnGroup } from './process-group.ts';
import type { CapturedProcess, ExitStatus } from './process-group.ts';

/** The server people run. Both src/ and dist/ stand three folders below the root. */
const SERVER = fileURLToPath(new URL('../../../apps/roost/bin/roost.js', import.meta.url));

/** What a farm says when it has started: the second where its broker is away. */
const STARTED = ['farm ready', 'farm started, but is not ready yet'];

/** Most lines and characters of output that are kept; a spec that logs more has another problem. */
const MAX_LOG_LINES = 20_000;
const MAX_OTHER_CHARACTERS = 64 * 1024;

/**
 * A process that outlives the master for so long is killed, in ms. Specs that claim that none does look for it earlier,
 * also with the patience of a busy machine; once they stop the farm they do not.
 */
const OUTLIVED_MS = 20_000;
const OUTLIVED_AT_STOP_MS = 1000;

/** How much of the output an error shows, in lines. */
const SHOWN_LINES = 40;

/** One line of the server's log: a JSON object, as pino writes it, with `msg` and `level`. */
export interface LogLine {
  readonly [field: string]: unknown;
}

export interface WorkerProcess {
  readonly worker: number;
  readonly pid: number;
  /** The CPU it is pinned to; absent or null when it is not pinned. */
  readonly cpu?: number | null;
}

export interface StartServerOptions {
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The Node.js that runs it. Default: that of this process. */
  readonly node?: string | undefined;
  /** The program that Node runs. Default: the server of this repository. */
  readonly program?: string;
  /** Most open files of each of its processes, soft and hard (`ulimit -n`). Default: the limit of this process. */
  readonly maxOpenFiles?: number;
  /** All of its processes may use the first CPU of this process only (`taskset -c`). Default false. */
  readonly onOneCpu?: boolean;
  /** Until the farm has started, and for each wait, in ms. Default 10,000. */
  readonly deadlineMs?: number;
}

/**
 * Starts the server as people do: `roost start --port 0 --admin-port off …args`. Resolves when it logged that it has started: most often "farm ready".
 * `args` come after `start`; give `--port` or `--admin-port` to choose one. Rejects with `TESTING_START_FAILED` when it ends
 * or is not ready in time, and shows its output. Stop it when done.
 */
export async function startServer(
  args: readonly string[] = [],
  options: StartServerOptions = {},
): Promise<FarmProcess> {
  const has = (flag: string): boolean => args.some((arg) => arg === flag || arg.startsWith(`${flag}=`));
  const program = options.program ?? SERVER;
  const command = [
    options.node ?? process.execPath,
    program,
    'start',
    ...(has('--port') ? [] : ['--port', '0']),
    // Many run at a time, and few specs look at it.
    ...(has('--admin-port') ? [] : ['--admin-port', 'off']),
    ...args,
  ];
  if (options.maxOpenFiles !== undefined) {
    // exec: what is started must be the server itself, with the pid that signals are sent to.
    command.unshift('/bin/sh', '-c', `ulimit -n ${options.maxOpenFiles} && exec "$0" "$@"`);
  }
  if (options.onOneCpu === true) command.unshift('taskset', '-c', firstCpu());
  const [file = '', ...words] = command;
  const child = spawnGroup(file, words, {
    cwd: options.cwd,
    env: { ...cleanEnvironment(), ...options.env },
  });
  const farm = new FarmProcess(child, options.deadlineMs ?? DEADLINE_MS);
  try {
    await farm.becomeReady();
    return farm;
  } catch (error) {
    await farm.stop();
    throw error;
  }
}

/** The first CPU that this process may use. (proc(5), Cpus_allowed_list.) */
function firstCpu(): string {
  const status = readFileSync('/proc/self/status', 'latin1');
  return /^Cpus_allowed_list:\s*(\d+)/m.exec(status)?.[1] ?? '0';
}

/** A running server and its whole process tree. Made by {@link startServer}. */
export class FarmProcess {
  readonly pid: number;
  /** Settles when the master has exited. */
  readonly exited: Promise<ExitStatus>;
  readonly #process: CapturedProcess;
  readonly #deadlineMs: number;
  readonly #release: () => void;
  readonly #logs: LogLine[] = [];
  readonly #changes = new Changes();
  #otherOutput = '';
  #ready: { readonly port: number; readonly workers: readonly WorkerProcess[] } | undefined;
  #exit: ExitStatus | undefined;

  constructor(child: CapturedProcess, deadlineMs: number) {
    this.#process = child;
    this.#deadlineMs = deadlineMs;
    // Without a pid nothing was started, and the 'error' event tells why.
    this.pid = child.pid ?? -1;
    this.#release = registerFixture({
      what: `roost ${child.spawnargs.slice(2).join(' ')} (pid ${this.pid})`,
      terminate: () => this.#killTree(),
    });
    eachLine(child, (line) => this.#read(line));
    child.stderr.on('data', (chunk: Buffer) => this.#keep(chunk.toString()));
    this.exited = new Promise((resolve) => {
      const end = (status: ExitStatus): void => {
        this.#exit = status;
        this.#changes.notify();
        resolve(status);
      };
      child.once('error', (error) => {
        this.#keep(error.message);
        end({ code: null, signal: null });
      });
      // 'close', not 'exit': the last lines of the log are read by then.
      child.once('close', (code: number | null, signal: NodeJS.Signals | null) => end({ code, signal }));
      this.#endWithMaster(OUTLIVED_MS);
    });
  }

  get port(): number {
    return this.#readiness().port;
  }

  /** `ws://127.0.0.1:<port>` */
  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** As logged when the farm became ready; later restarts are in the log. */
  get workers(): readonly WorkerProcess[] {
    return this.#readiness().workers;
  }

  /** The lines of the log so far. */
  get logs(): readonly LogLine[] {
    return this.#logs;
  }

  /** What was written that is no log line, and to stderr. */
  get otherOutput(): string {
    return this.#otherOutput;
  }

  /**
   * Waits for a line of the log: the first from `from` on (an index into {@link logs}, default 0) for which
   * the predicate holds. Rejects when the server exits before, and at the deadline; both show the output.
   */
  log(predicate: (line: LogLine) => boolean, from = 0): Promise<LogLine> {
    let next = from;
    const what = 'the wanted line is logged';
    return this.#changes.until(
      () => {
        for (; next < this.#logs.length; next += 1) {
          const line = this.#logs[next];
          if (line !== undefined && predicate(line)) return line;
        }
        if (this.#exit === undefined) return undefined;
        throw new TestingError(
          'TESTING_START_FAILED',
          `The server ended with ${this.#exit.code ?? this.#exit.signal} before ${what}. Its output:\n${this.#shownOutput()}`,
        );
      },
      { deadlineMs: this.#deadlineMs, what, seen: () => `\n${this.#shownOutput()}` },
    );
  }

  /** Sends a signal to the master only. */
  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Waits until it says that it has started. {@link startServer} does. */
  async becomeReady(): Promise<void> {
    const line = await this.log((entry) => STARTED.includes(String(entry['msg'])));
    const { port, workers } = line;
    if (typeof port !== 'number' || !Array.isArray(workers) || !workers.every(isWorkerProcess)) {
      throw new TestingError(
        'TESTING_START_FAILED',
        `The line "${String(line['msg'])}" must have a port and workers, got ${JSON.stringify(line)}.`,
      );
    }
    this.#ready = { port, workers };
  }

  /**
   * Asks for an orderly end (SIGTERM), waits up to the deadline, and kills what is left of the tree.
   * Calling it twice is safe.
   */
  async stop(): Promise<ExitStatus> {
    if (this.#exit === undefined) {
      signalGroup(this.pid, 'SIGCONT');
      this.signal('SIGTERM');
    }
    this.#endWithMaster(OUTLIVED_AT_STOP_MS);
    try {
      return await within(this.exited, {
        deadlineMs: this.#deadlineMs,
        what: `the server (pid ${this.pid}) ends after SIGTERM`,
        seen: () => this.#shownOutput(),
      });
    } finally {
      this.#killTree();
      if (this.pid > 0) {
        await eventually(() => livingMembers(this.pid).length === 0, {
          what: `every process of the server (pid ${this.pid}) is gone`,
        });
      }
      this.#release();
    }
  }

  /** Kills what outlives the master: it holds the pipes open, and 'close' would never come. */
  #endWithMaster(afterMs: number): void {
    const kill = (): void => void setTimeout(() => this.#killTree(), afterMs).unref();
    if (this.#process.exitCode === null && this.#process.signalCode === null)
      this.#process.once('exit', kill);
    else kill();
  }

  #readiness(): { readonly port: number; readonly workers: readonly WorkerProcess[] } {
    if (this.#ready === undefined) {
      throw new TestingError('TESTING_START_FAILED', 'The server is not ready: wait for becomeReady first.');
    }
    return this.#ready;
  }

  #read(line: string): void {
    const parsed = parseLogLine(line);
    if (parsed === undefined) this.#keep(`${line}\n`);
    else if (this.#logs.length < MAX_LOG_LINES) this.#logs.push(parsed);
    this.#changes.notify();
  }

  #keep(text: string): void {
    this.#otherOutput = (this.#otherOutput + text).slice(-MAX_OTHER_CHARACTERS);
  }

  #shownOutput(): string {
    const lines = this.#logs.slice(-SHOWN_LINES).map((line) => JSON.stringify(line));
    return [...lines, this.#otherOutput].join('\n');
  }

  #killTree(): void {
    if (this.pid > 0) killGroup(this.pid);
  }
}

function eachLine(child: CapturedProcess, onLine: (line: string) => void): void {
  let rest = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  child.stdout.once('end', () => {
    if (rest !== '') onLine(rest);
  });
}

function parseLogLine(line: string): LogLine | undefined {
  try {
    const parsed: unknown = JSON.parse(line);
    return isLogLine(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function isLogLine(value: unknown): value is LogLine {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isWorkerProcess(value: unknown): value is WorkerProcess {
  return isLogLine(value) && typeof value['worker'] === 'number' && typeof value['pid'] === 'number';
}

/** The environment without what is there for the test runner's own processes, of which the server would complain. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(
    ([name]) => !/^(?:VITEST|TINYPOOL|ROOST_TEST_|NODE_OPTIONS$|NODE_ENV$|NODE_CHANNEL)/.test(name),
  );
  return Object.fromEntries(entries);
}
