import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { processTree } from './processes.mjs';

const STOP_TIMEOUT_MS = 15_000;
const KEPT_OUTPUT = 4000;
const KEPT_COMPLAINTS = 20;
const COMPLAINT = /"level":"(?:warn|error|fatal)"/;
const MESSAGE = /"msg":"([^"]*)"/;

/** @typedef {Map<string, { count: number, first: string }>} Complaints Warnings and errors of a log, by their `msg`. */

/** @type {Set<ChildProgram>} */
const running = new Set();

/** Kills whatever this process has started and what that has started: for when it is interrupted itself. */
export function killRunningPrograms() {
  for (const program of running) program.killTree();
}

/** Whatever is running ends with this process: when that is interrupted, and after an exception that nobody caught. */
export function killProgramsAtExit() {
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  process.once('exit', killRunningPrograms);
}

/** A program that speaks lines, most of them JSON, on its standard output. */
export class ChildProgram {
  #child;
  /** @type {AsyncIterator<string, undefined>} */
  #lines;
  #name;
  #exited;
  #errors = '';

  /**
   * `args` are Node's, unless `command` is another program.
   * @param {string} name
   * @param {readonly string[]} args
   * @param {{ env?: NodeJS.ProcessEnv, command?: string | undefined, namespace?: string | undefined }} [options] `namespace` is
   *   the path of a network namespace to run in.
   */
  constructor(name, args, { env = {}, command = process.execPath, namespace } = {}) {
    this.#name = name;
    // Node would parse all of its own certificates as well at each start: 1.1 MB of every process, for nobody.
    const { NODE_EXTRA_CA_CERTS: _, ...ours } = process.env;
    // nsenter becomes the program, with its process id.
    const words = namespace === undefined ? [command] : ['nsenter', `--net=${namespace}`, '--', command];
    this.#child = spawn(words[0], [...words.slice(1), ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...ours, ...env },
    });
    this.#child.stderr.on('data', (chunk) => (this.#errors = (this.#errors + chunk).slice(-KEPT_OUTPUT)));
    running.add(this);
    this.#exited = once(this.#child, 'exit').finally(() => running.delete(this));
    // A program that cannot be started says so to whoever reads its first line.
    this.#exited.catch((error) => (this.#errors += String(error)));
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Rejects when the program ends, whatever its exit code; for what must go on running. */
  async failWhenEnded() {
    await this.#exited;
    throw new Error(`${this.#name} has ended: ${this.#errors}`);
  }

  /** Of a process that could be started. */
  get pid() {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error(`${this.#name} could not be started: ${this.#errors}`);
    return pid;
  }

  /** @param {string} line */
  write(line) {
    this.#child.stdin.write(`${line}\n`);
  }

  /** The next line of a program that speaks no JSON. Throws when the program ends. */
  async nextText() {
    const { value } = await this.#lines.next();
    if (value === undefined) throw new Error(`${this.#name} has ended: ${this.#errors}`);
    return value;
  }

  /**
   * The next line for which `isWanted` holds; lines that are no JSON are passed over. Throws when the program ends.
   * @param {(line: Record<string, unknown>) => boolean} [isWanted]
   */
  async nextLine(isWanted = () => true) {
    for (;;) {
      const text = await this.nextText();
      if (!text.startsWith('{')) continue;
      const line = JSON.parse(text);
      if (isWanted(line)) return line;
    }
  }

  /**
   * Reads on and forgets, so that a program that logs is never stopped by a full pipe. Answers a map that gets the
   * warnings and errors of a log in JSON by their `msg`: how many there were, and the first line.
   * @returns {Complaints}
   */
  discardOutput() {
    /** @type {Complaints} */
    const complaints = new Map();
    const discard = async () => {
      for (;;) {
        const { value } = await this.#lines.next();
        if (value === undefined) return;
        if (!COMPLAINT.test(value)) continue;
        const name = MESSAGE.exec(value)?.[1] ?? 'without msg';
        const complaint = complaints.get(name);
        if (complaint !== undefined) complaint.count++;
        else if (complaints.size < KEPT_COMPLAINTS) complaints.set(name, { count: 1, first: value });
      }
    };
    discard().catch(() => {});
    return complaints;
  }

  /** SIGKILL to its process tree, if it could be started at all. */
  killTree() {
    const { pid } = this.#child;
    if (pid !== undefined) for (const one of processTree(pid)) kill(one);
  }

  /** The same, and resolves when it has ended. */
  async kill() {
    this.killTree();
    await this.#exited;
  }

  /** SIGTERM; what is left of its process tree after 15 s is killed. */
  async stop() {
    if (!running.has(this)) return;
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

/** @param {number} pid */
function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}
