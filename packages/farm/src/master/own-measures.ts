import { readFile } from 'node:fs/promises';
import { addCounts, type Counters } from '../api/counters.ts';
import type { GaugeName } from '../api/measures.ts';
import type { ProcessMetrics } from '../api/metrics.ts';
import type { Log } from '../api/log.ts';
import { ProcessMeasures } from '../measures/process-measures.ts';
import type { Brokers } from './workers/brokers.ts';

/** What the master measures of itself, and of its workers as processes. */
export class OwnMeasures {
  readonly #counters: Counters;
  readonly #log: Log;
  readonly #brokers: Pick<Brokers, 'droppedEventCount'>;
  readonly #process = new ProcessMeasures();

  constructor(counters: Counters, log: Log, brokers: Pick<Brokers, 'droppedEventCount'>) {
    this.#counters = counters;
    this.#log = log;
    this.#brokers = brokers;
  }

  /** Of this process. `sockets`: accepted ones that no worker has acknowledged. */
  async read(sockets: number): Promise<ProcessMetrics> {
    const { totals, gauges, histograms } = this.#process.read(sockets);
    const memory = await proportionalMemory('self');
    return { counters: this.counters, totals, gauges: { ...gauges, ...memory }, histograms };
  }

  get counters(): Record<string, number> {
    const counters = this.#counters.snapshot();
    // What is lost is counted by whoever loses it.
    addCounts(counters, {
      log_lines_lost: this.#log.linesLost ?? 0,
      recorded_events_dropped: this.#brokers.droppedEventCount,
    });
    return counters;
  }

  stop(): void {
    this.#process.stop();
  }
}

/**
 * The PSS of a process (smaps_rollup, proc(5)); nothing when it has gone. The kernel walks through its pages for that: some
 * milliseconds for a worker with 100,000 connections, and therefore here, in a thread, and not in the worker.
 */
export async function proportionalMemory(pid: number | 'self'): Promise<Partial<Record<GaugeName, number>>> {
  try {
    const text = await readFile(`/proc/${pid}/smaps_rollup`, 'latin1');
    const kilobytes = /^Pss:\s+(\d+) kB/m.exec(text)?.[1];
    return kilobytes === undefined ? {} : { proportional_bytes: Number(kilobytes) * 1024 };
  } catch {
    return {};
  }
}
