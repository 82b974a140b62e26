import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { STARTED_BY_DEV } from '../parent.ts';

/** The path is the same from src/ and from dist/. */
const BIN = fileURLToPath(new URL('../../bin/roost.js', import.meta.url));

/** A farm that has not ended in this time is killed: nobody's connections are at stake here. */
const STOP_MS = 5000;

/** One run of `roost start` in a process of its own. It ends with this process, however that ends. */
export class DevFarm {
  readonly #process: ChildProcess;
  /** Resolves when it has ended and all of its output is read: the exit code, or null after a signal. */
  readonly exited: Promise<number | null>;

  /** `onLine` gets each line of its stdout; what it writes to stderr goes to ours. */
  constructor(
    words: readonly string[],
    environment: Readonly<Record<string, string>>,
    onLine: (line: string) => void,
  ) {
    const child = spawn(process.execPath, [...process.execArgv, BIN, 'start', ...words], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...environment, [STARTED_BY_DEV]: '1' },
    });
    this.#process = child;
    createInterface({ input: child.stdout }).on('line', onLine);
    this.exited = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code));
    });
  }

  /** As by that signal; by force when it takes longer than {@link STOP_MS}. Resolves when it has ended. */
  async stop(signal: NodeJS.Signals): Promise<void> {
    this.#process.kill(signal);
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MS);
    await this.exited;
    clearTimeout(timer);
  }

  /** By force: its workers end with it. */
  kill(): void {
    this.#process.kill('SIGKILL');
  }
}
