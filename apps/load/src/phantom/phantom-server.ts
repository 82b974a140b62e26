import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { LoadError } from '../errors.ts';

const LOOK_MS = 100;
const STOP_MS = 15_000;
/** State of a socket that listens, in /proc/net/tcp. */
const LISTEN = '0A';

/** The server of phantom clients, in the namespace of this process: started with a command, or by somebody else. */
export class PhantomServer {
  readonly #child: ChildProcess | undefined;

  /** `command` is for the shell, whose place a single program takes, so that it ends with this process even by SIGKILL; null: somebody else starts one. It prints to stderr. */
  constructor(command: string | null) {
    if (command === null) return;
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', 'sh', '-c', inPlaceOfShell(command)], {
      stdio: ['ignore', process.stderr.fd, process.stderr.fd],
      // A group of its own: Ctrl-C ends the clients, and they the server.
      detached: true,
    });
    this.#child.on('error', () => {});
  }

  get isOurs(): boolean {
    return this.#child !== undefined;
  }

  /** Resolves when somebody listens on the port; throws LOAD_ERR_PHANTOM when nobody does in time, or the server has ended. */
  async listens(port: number, timeoutMs: number, signal: AbortSignal): Promise<void> {
    const endsAt = performance.now() + timeoutMs;
    while (!isListening(port)) {
      if (signal.aborted) throw new LoadError('LOAD_ERR_PHANTOM', 'ended before the server listened.');
      const child = this.#child;
      if (child !== undefined && (child.exitCode !== null || child.signalCode !== null)) {
        throw new LoadError(
          'LOAD_ERR_PHANTOM',
          `the command of --server has ended by ${child.signalCode ?? `exit code ${child.exitCode}`}.`,
        );
      }
      if (performance.now() > endsAt) {
        throw new LoadError('LOAD_ERR_PHANTOM', `nobody listened on port ${port} for ${timeoutMs / 1000} s.`);
      }
      await delay(LOOK_MS);
    }
  }

  /** Ends a server that was started here, with all that its command has started: SIGTERM, and SIGKILL when that is not enough. */
  async stop(): Promise<void> {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    const endsAt = performance.now() + STOP_MS;
    // A signal of 0 only asks whether there is anybody.
    for (let signal: NodeJS.Signals | 0 = 'SIGTERM'; signalGroup(pid, signal); await delay(LOOK_MS)) {
      signal = performance.now() > endsAt ? 'SIGKILL' : 0;
    }
  }
}

function inPlaceOfShell(command: string): string {
  return /[;&|<>()\n]/.test(command) ? command : `exec ${command}`;
}

/** False: nobody is left. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}

/** In this process' network namespace. */
function isListening(port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  // The second one is missing where the kernel has no IPv6.
  return ['/proc/net/tcp', '/proc/net/tcp6']
    .filter((table) => existsSync(table))
    .some((table) =>
      readFileSync(table, 'utf8')
        .split('\n')
        .some((line) => {
          const [, local = '', , state] = line.trim().split(/\s+/);
          return local.endsWith(`:${hex}`) && state === LISTEN;
        }),
    );
}
