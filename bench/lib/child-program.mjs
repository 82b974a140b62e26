import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { processTree } from './processes.mjs';

const STOP_TIMEOUT_MS = 15_000;
const KEPT_OUTPUT = 4000;

/** A program that speaks JSON lines on its standard output. */
export class ChildProgram {
  #child;
  #lines;
  #name;
  #exited;
  #errors = '';

  /** `args` are Node's, unless `command` is another program. */
  constructor(name, args, { env = {}, command = process.execPath } = {}) {
    this.#name = name;
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    this.#child.stderr.on('data', (chunk) => (this.#errors = (this.#errors + chunk).slice(-KEPT_OUTPUT)));
    this.#exited = once(this.#child, 'exit');
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  get pid() {
    return this.#child.pid;
  }

  write(line) {
    this.#child.stdin.write(`${line}\n`);
  }

  /** The next line for which `isWanted` holds; lines that are no JSON are passed over. Throws when the program ends. */
  async nextLine(isWanted = () => true) {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error(`${this.#name} has ended: ${this.#errors}`);
      if (!value.startsWith('{')) continue;
      const line = JSON.parse(value);
      if (isWanted(line)) return line;
    }
  }

  /** Reads on and forgets, so that a program that logs is never stopped by a full pipe. */
  discardOutput() {
    const discard = async () => {
      while (!(await this.#lines.next()).done);
    };
    discard().catch(() => {});
  }

  /** SIGTERM; what is left of its process tree after 15 s is killed. */
  async stop() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const tree = processTree(this.pid);
    this.#child.stdin.end();
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => {
      for (const pid of tree) kill(pid);
    }, STOP_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(timer);
  }
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}
