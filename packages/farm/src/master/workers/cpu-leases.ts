import type { Counters } from '../../api/counters.ts';
import type { Guard } from '../guard.ts';
import type { WorkerLife } from './worker-life.ts';

type LeasingWorker = Pick<WorkerLife, 'cpu' | 'send'>;

/** A lease that is not given back expires after this many times `broadcastTurnMs`. */
const PATIENCE = 2;

/** The workers of one CPU. */
interface Cpu {
  holder: LeasingWorker | undefined;
  /** In the order in which they asked. */
  readonly waiting: LeasingWorker[];
  expiry: NodeJS.Timeout | undefined;
}

/**
 * Leases of a CPU to the workers that share it. Only the worker with the lease broadcasts to large channels; the others wait
 * in the order in which they asked. All at once they would be no faster: each would take the CPU and its caches from the
 * others, and a client that waits for an echo of one of them would wait for all of them.
 *
 * A lease is a courtesy, not a lock: a worker that does not give it back delays the others of its CPU by twice
 * `broadcastTurnMs`. A worker that has gone delays no other.
 */
export class CpuLeases {
  readonly #leaseMs: number;
  readonly #counters: Counters;
  readonly #guard: Guard;
  readonly #byCpu = new Map<number | null, Cpu>();

  constructor(leaseMs: number, counters: Counters, guard: Guard) {
    this.#leaseMs = leaseMs;
    this.#counters = counters;
    this.#guard = guard;
  }

  /** A worker asks for the lease. If it holds the lease, that ends, and the worker goes to the end of the line. */
  ask(worker: LeasingWorker): void {
    const cpu = this.#cpuOf(worker);
    if (cpu.holder === worker) cpu.holder = undefined;
    cpu.waiting.push(worker);
    if (cpu.holder === undefined) this.#grantNext(cpu);
  }

  /** A worker has nothing left to send, or is gone. */
  leave(worker: LeasingWorker): void {
    const cpu = this.#cpuOf(worker);
    const index = cpu.waiting.indexOf(worker);
    if (index >= 0) cpu.waiting.splice(index, 1);
    if (cpu.holder === worker) this.#grantNext(cpu);
  }

  stop(): void {
    for (const { expiry } of this.#byCpu.values()) clearTimeout(expiry);
    this.#byCpu.clear();
  }

  #cpuOf({ cpu }: LeasingWorker): Cpu {
    const known = this.#byCpu.get(cpu);
    if (known !== undefined) return known;
    const added: Cpu = { holder: undefined, waiting: [], expiry: undefined };
    this.#byCpu.set(cpu, added);
    return added;
  }

  #grantNext(cpu: Cpu): void {
    clearTimeout(cpu.expiry);
    cpu.holder = cpu.waiting.shift();
    if (cpu.holder === undefined) return;
    cpu.expiry = this.#guard.after(this.#leaseMs * PATIENCE, 'ending a lease', () => {
      this.#counters.add('broadcast_turns_expired');
      this.#grantNext(cpu);
    });
    cpu.holder.send({ type: 'lease' });
  }
}
