import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually, freePort, livingMembers, spawnGroup, TestClient, within } from '@roost/testing';
import type { CapturedProcess, ExitStatus, LogLine } from '@roost/testing';
import { API_KEY, endAfterTest, expectEcho } from './system.ts';

const SERVER = fileURLToPath(new URL('../../apps/roost/bin/roost.js', import.meta.url));
const APP = fileURLToPath(new URL('../apps/printing.js', import.meta.url));
/** Nothing tells us that it is ready but its port. */
const START_MS = 30_000;
const READ_BYTES = 64 * 1024;

export interface LoggedFarmOptions {
  /** Further words of the command line. */
  readonly settings?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Words that come before the command, as of unshare(1). */
  readonly under?: readonly string[];
}

/**
 * A farm whose stdout is wherever the spec wants it: the harness of other specs reads it, always. `shell` runs the server
 * as `"$@"`, and may redirect it: `exec "$@" > /dev/full`.
 */
export class LoggedFarm {
  readonly port: number;
  readonly process: CapturedProcess;
  readonly exited: Promise<ExitStatus>;

  private constructor(port: number, child: CapturedProcess) {
    this.port = port;
    this.process = child;
    this.exited = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
  }

  static async start(shell: string, options: LoggedFarmOptions = {}): Promise<LoggedFarm> {
    const { settings = [], under = [], env = {} } = options;
    const port = await freePort();
    const server = [process.execPath, SERVER, 'start', APP, '--host', '127.0.0.1', '--port', String(port)];
    // No lines about a slow machine: specs count.
    const quiet = ['--worker-lag-ms', '600000'];
    const own = ['--workers', '1', '--api-key', API_KEY, '--drain-ms', '0', ...quiet, ...settings];
    const [file = '', ...words] = [...under, '/bin/sh', '-c', shell, 'sh', ...server, ...own];
    const child = spawnGroup(file, words, { env: { PATH: process.env['PATH'] ?? '', ...env } });
    const farm = new LoggedFarm(port, child);
    endAfterTest(async () => {
      if (child.pid === undefined) return;
      if (livingMembers(child.pid).length > 0) process.kill(-child.pid, 'SIGKILL');
      await farm.exited;
    });
    await eventually(async () => (await fetch(`http://127.0.0.1:${port}/health/ready`)).ok, {
      what: 'the farm is ready',
      deadlineMs: START_MS,
    });
    return farm;
  }

  /** The master, where the shell has become it. */
  get pid(): number {
    return this.process.pid ?? -1;
  }

  async connect(): Promise<TestClient> {
    const client = await TestClient.connect(`ws://127.0.0.1:${this.port}/`);
    endAfterTest(() => client.terminate());
    return client;
  }

  /** Rejects unless a new client is served. */
  async expectService(): Promise<void> {
    await expectEcho(await this.connect(), 'served');
  }

  async info(): Promise<{ counters: Record<string, number>; workers: { pid: number; restarts: number }[] }> {
    const response = await fetch(`http://127.0.0.1:${this.port}/api/info`, {
      method: 'POST',
      headers: { 'X-API-Key': API_KEY, Connection: 'close' },
      body: '{}',
    });
    return JSON.parse(await response.text()).result.nodes[0];
  }

  async linesLost(): Promise<number> {
    return (await this.info()).counters['log_lines_lost'] ?? -1;
  }

  /** SIGTERM; the exit code, which must come within seconds. */
  async stop(): Promise<ExitStatus> {
    this.process.kill('SIGTERM');
    return within(this.exited, { what: 'the farm ends after SIGTERM' });
  }
}

/** A named pipe, and a reader that reads when it is told to. */
export class Pipe {
  readonly path: string;
  #reader: number | undefined;
  #text = '';

  constructor() {
    const folder = temporaryFolder();
    this.path = join(folder, 'pipe');
    execFileSync('mkfifo', [this.path]);
    this.open();
    endAfterTest(async () => this.close());
  }

  open(): void {
    this.#reader = openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
  }

  close(): void {
    if (this.#reader !== undefined) closeSync(this.#reader);
    this.#reader = undefined;
  }

  /** Takes what is there. */
  read(): void {
    const buffer = Buffer.alloc(READ_BYTES);
    try {
      for (;;) {
        const count = readSync(this.#reader ?? -1, buffer);
        if (count === 0) return;
        this.#text += buffer.toString('latin1', 0, count);
      }
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    }
  }

  /** What has been read: log lines, and lines that are none. */
  get lines(): { readonly logs: readonly LogLine[]; readonly others: readonly string[] } {
    return splitLog(this.#text);
  }

  /** Reads until there is such a line. */
  async log(msg: string): Promise<LogLine> {
    return eventually(
      () => {
        this.read();
        return this.lines.logs.find((line) => line['msg'] === msg) ?? false;
      },
      { what: `there is a line "${msg}"` },
    );
  }
}

/** The lines of an output, the last one without its end not included. */
export function splitLog(text: string): { readonly logs: LogLine[]; readonly others: string[] } {
  const lines = text.split('\n').slice(0, -1);
  const logs = lines.filter((line) => line.startsWith('{'));
  return {
    logs: logs.map((line): LogLine => JSON.parse(line)),
    others: lines.filter((line) => !line.startsWith('{')),
  };
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'roost-logs-'));
  endAfterTest(async () => rmSync(folder, { recursive: true }));
  return folder;
}

/** Flags of a descriptor of a process, as open(2) has them. Source: proc_pid_fdinfo(5). */
export function flagsOf(pid: number, descriptor: number): number {
  const fdinfo = readFileSync(`/proc/${pid}/fdinfo/${descriptor}`, 'latin1');
  return Number.parseInt(/^flags:\s*(\d+)/m.exec(fdinfo)?.[1] ?? '', 8);
}
