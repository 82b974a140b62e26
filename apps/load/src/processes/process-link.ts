import { type ChildProcess, fork } from 'node:child_process';
import { LoadError } from '../errors.ts';
import type { Progress, Report } from '../report/report.ts';
import type { EchoFindings } from './echo-run.ts';
import type { Command, ProcessMessage } from './process-messages.ts';
import type { WatchFindings } from './publication-watch.ts';

/** First argument that makes the program a load process. */
export const LOAD_PROCESS_ARGUMENT = 'load-process';

export interface CommandResult {
  readonly report: Report;
  readonly echo: EchoFindings | undefined;
  readonly watch: WatchFindings | undefined;
}

interface Waiting {
  resolve(result: CommandResult): void;
  reject(error: LoadError): void;
}

const NO_PROGRESS: Progress = {
  pending: 0,
  open: 0,
  connected: 0,
  failed: {},
  messages: 0,
  deliveries: 0,
  isSatisfied: false,
};

/** One load process, as the coordinator sees it. When it dies, every question rejects with LOAD_ERR_PROCESS. */
export class ProcessLink {
  readonly pid: number | undefined;
  /** What the process last said of itself. */
  progress: Progress = NO_PROGRESS;
  readonly #onProgress: (progress: Progress | undefined) => void;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #failure: LoadError | undefined;

  /**
   * `entry` is the program's main module, which is run again as a load process, with further arguments for Node. `onProgress` is called with what the
   * process says of itself, and without when `failure` has changed.
   */
  constructor(
    entry: string,
    nodeArguments: readonly string[],
    onProgress: (progress: Progress | undefined) => void,
  ) {
    this.#onProgress = onProgress;
    this.#child = fork(entry, [LOAD_PROCESS_ARGUMENT], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: [...process.execArgv, ...nodeArguments],
    });
    this.pid = this.#child.pid;
    // Both ends of the channel are this program: its messages are trusted to have their type.
    this.#child.on('message', (message: ProcessMessage) => this.#receive(message));
    this.#child.on('error', (cause) => {
      this.#fail(this.pid === undefined ? 'could not be started' : 'cannot be reached', cause);
    });
    this.#exited = new Promise((resolve) => {
      this.#child.on('exit', (code, signal) => {
        this.#fail(`has ended by ${signal ?? `exit code ${code}`}`);
        resolve();
      });
    });
  }

  /** Set when the process has ended, or cannot be reached. */
  get failure(): LoadError | undefined {
    return this.#failure;
  }

  ask(command: Command): Promise<CommandResult> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ id, command });
    });
  }

  /** Ends the process, and resolves when it has ended. */
  async stop(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await this.#exited;
  }

  #receive(message: ProcessMessage): void {
    if (message.type === 'progress') {
      this.progress = message.progress;
      this.#onProgress(message.progress);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.type === 'failure') waiting?.reject(new LoadError('LOAD_ERR_PROCESS', message.message));
    else waiting?.resolve({ report: message.report, echo: message.echo, watch: message.watch });
  }

  #fail(what: string, cause?: unknown): void {
    this.#failure ??= new LoadError('LOAD_ERR_PROCESS', `a load process (pid ${this.pid}) ${what}.`, {
      cause,
    });
    for (const waiting of this.#waiting.values()) waiting.reject(this.#failure);
    this.#waiting.clear();
    this.#onProgress(undefined);
  }
}
