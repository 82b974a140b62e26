import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, type FarmProcess } from '@roost/testing';

/** What is to go wrong in one process, `times` times. */
export interface Fault {
  /**
   * Calls that fail with `errno`, with `|` between them: of the poller's addon, `spawn` and `kill` of child processes, `write`
   * on a control stream.
   */
  readonly call?: string;
  readonly errno?: string;
  /** Or: a global function by its path, which throws when it is called from within a function, `caller`. */
  readonly via?: string;
  readonly caller?: string;
  /** Or, with `via: 'JSON.stringify'`: what a message of this type says instead. */
  readonly replace?: Readonly<Record<string, unknown>> & { readonly type: string };
  readonly times: number;
  /** At once, when such a process starts. Without: when {@link FaultFile.arm} is called. */
  readonly atStart?: 'master' | 'worker';
}

const PRELOAD = new URL('./preload.mjs', import.meta.url).href;

/** The way to tell the processes of a farm what is to go wrong. Remove it when done. */
export class FaultFile {
  readonly #folder = mkdtempSync(join(tmpdir(), 'roost-faults-'));
  readonly #path = join(this.#folder, 'fault.json');

  /** For the farm that listens to it. */
  get env(): Readonly<Record<string, string>> {
    return { NODE_OPTIONS: `--import=${PRELOAD}`, FAULT_FILE: this.#path };
  }

  write(fault: Fault): void {
    writeFileSync(this.#path, JSON.stringify(fault));
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Makes it go wrong in a process that runs. */
  async arm(farm: FarmProcess, pid: number, fault: Fault): Promise<void> {
    this.write(fault);
    const armed = `fault armed in ${pid}\n`;
    const before = occurrences(farm, armed);
    process.kill(pid, 'SIGUSR2');
    await eventually(() => occurrences(farm, armed) > before, { what: `the fault is armed in ${pid}` });
  }

  /** How often it has gone wrong in that process. */
  fired(farm: FarmProcess, pid: number): number {
    return occurrences(farm, `fault fired in ${pid}\n`);
  }
}

function occurrences(farm: FarmProcess, line: string): number {
  return farm.otherOutput.split(line).length - 1;
}
