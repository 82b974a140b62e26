import { readFileSync } from 'node:fs';
import { FarmError } from '../api/errors.ts';
import type { FarmConfig } from './options.ts';

/** What Linux gives a process without configuration. */
const USUAL_LIMIT = 1024;

/** Descriptors that a worker keeps for everything except clients: files, Redis, libuv. */
const WORKER_RESERVE = 256;

/** The same of the master, and what each worker costs it: two descriptor pairs, a control stream, stdout and stderr. */
const MASTER_RESERVE = 64;
const MASTER_PER_WORKER = 5;

type Sizes = Pick<
  FarmConfig,
  'workers' | 'maxConnections' | 'maxConnectionsPerWorker' | 'reservedConnections'
>;

/** How many descriptors this process may open: the soft limit of RLIMIT_NOFILE (proc(5)), Infinity when there is none. */
export function descriptorLimit(): number {
  // Elsewhere the poller refuses to run, and says so better than a missing file would.
  if (process.platform !== 'linux') return USUAL_LIMIT;
  const limits = readFileSync('/proc/self/limits', 'latin1');
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

/** Connections that a worker takes: what the configuration wants, cut to what the limit of descriptors allows. */
export function capacityOf(config: Sizes, limit: number): number {
  const room = limit - WORKER_RESERVE - config.reservedConnections;
  return Math.max(1, Math.min(config.maxConnectionsPerWorker, room));
}

/** Throws a FarmError where a farm could not even hold one connection per worker. */
export function checkDescriptorLimit(config: Sizes, limit: number): void {
  const needed = Math.max(
    WORKER_RESERVE + config.reservedConnections + 1,
    MASTER_RESERVE + MASTER_PER_WORKER * config.workers,
  );
  if (limit >= needed) return;
  throw new FarmError(
    'FARM_ERR_DESCRIPTORS',
    `A process may open ${limit} files (ulimit -n), and a farm with ${config.workers} workers needs at least ${needed}. ${howToRaise(wantedLimit(config))}`,
  );
}

/** What of the wanted connections does not fit, for the log; undefined when all do. */
export function descriptorShortage(
  config: Sizes,
  limit: number,
): { readonly capacity: number; readonly wanted: number; readonly raise: string } | undefined {
  const each = wantedPerWorker(config);
  const capacity = capacityOf(config, limit);
  if (capacity >= each) return undefined;
  return {
    capacity: capacity * config.workers,
    wanted: each * config.workers,
    raise: howToRaise(wantedLimit(config)),
  };
}

function wantedPerWorker({ workers, maxConnections, maxConnectionsPerWorker }: Sizes): number {
  return Math.min(maxConnectionsPerWorker, Math.ceil(maxConnections / workers));
}

/** Descriptors that each worker, and the master, needs for all the connections that are wanted. */
export function descriptorNeeds(config: Sizes): { readonly worker: number; readonly master: number } {
  return {
    worker: wantedPerWorker(config) + WORKER_RESERVE + config.reservedConnections,
    master: MASTER_RESERVE + MASTER_PER_WORKER * config.workers,
  };
}

function wantedLimit(config: Sizes): number {
  const { worker, master } = descriptorNeeds(config);
  return Math.max(worker, master);
}

/** Node raises the soft limit to the hard one by itself, so it is the hard one that is too low: setrlimit(2). */
function howToRaise(limit: number): string {
  return `Run "ulimit -n ${limit}" before, as root; or set LimitNOFILE=${limit} (systemd), --ulimit nofile=${limit} (docker run), or ulimits: { nofile: ${limit} } (compose).`;
}
