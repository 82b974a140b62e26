import { readFileSync } from 'node:fs';

/** Descriptors that a load process needs for itself: standard streams, epoll, libuv, IPC, modules being read. */
const RESERVED_DESCRIPTORS = 256;

/** What the kernel keeps for an idle connection (measured on Linux 6.18); both ends are here on loopback. */
const KERNEL_BYTES_PER_END = 5000;
/** What one end costs this program: rows of typed arrays, or a TLSSocket. */
const CLIENT_BYTES = 64;
const TLS_CLIENT_BYTES = 100_000;

/** What this machine allows; see readLimits. */
export interface MachineLimits {
  /** RLIMIT_NOFILE of each process. */
  readonly maxOpenFiles: number;
  /** Size of net.ipv4.ip_local_port_range: ports for one source address to one destination. */
  readonly ports: number;
  /** Entries that connection tracking still takes, or null when it is not loaded; one is used by each connection. */
  readonly conntrackLeft: number | null;
  /** Open files that the whole system still takes (fs.file-max). */
  readonly filesLeft: number;
  /** Memory that could be had without swapping. */
  readonly availableBytes: number;
}

export interface Wish {
  readonly connections: number;
  readonly processes: number;
  /** 0: the kernel chooses one. */
  readonly sourceAddresses: number;
  /** The server is on this machine, too. */
  readonly isLoopback: boolean;
  readonly isTls: boolean;
}

/** Connections that one process can hold. */
export function capacityPerProcess(limits: MachineLimits): number {
  return Math.max(0, limits.maxOpenFiles - RESERVED_DESCRIPTORS);
}

/** Why the machine cannot make these connections, each with what to change. Empty when it can. */
export function findObstacles(wish: Wish, limits: MachineLimits): string[] {
  const { connections, processes, sourceAddresses, isLoopback, isTls } = wish;
  const obstacles: string[] = [];
  const perProcess = capacityPerProcess(limits);
  if (connections > processes * perProcess) {
    obstacles.push(
      `${connections} connections do not fit into ${processes} processes of ${limits.maxOpenFiles} descriptors each: ` +
        `use --processes ${Math.ceil(connections / Math.max(1, perProcess))} or raise "ulimit -n".`,
    );
  }
  const addresses = Math.max(1, sourceAddresses);
  if (connections > addresses * limits.ports) {
    const needed = Math.ceil(connections / limits.ports);
    obstacles.push(
      `${connections} connections need more than the ${limits.ports} ports of ${addresses} source address(es): ` +
        `use --source-addresses with ${needed} or more, such as 127.0.0.2-127.0.0.${needed + 1}, ` +
        'or widen net.ipv4.ip_local_port_range.',
    );
  }
  if (limits.conntrackLeft !== null && connections > limits.conntrackLeft) {
    obstacles.push(
      `connection tracking has room for ${limits.conntrackLeft} more connections: ` +
        'raise net.netfilter.nf_conntrack_max, or connects will stall without an error.',
    );
  }
  const ends = isLoopback ? 2 : 1;
  if (connections * ends > limits.filesLeft) {
    obstacles.push(
      `the system takes ${limits.filesLeft} more open files, and ${connections} connections need ${connections * ends}: raise fs.file-max.`,
    );
  }
  const perConnection = KERNEL_BYTES_PER_END * ends + (isTls ? TLS_CLIENT_BYTES : CLIENT_BYTES);
  if (connections * perConnection > limits.availableBytes) {
    obstacles.push(
      `${connections} connections need about ${toGigabytes(connections * perConnection)} GB of memory` +
        `${isLoopback ? ' for both ends' : ''}, and ${toGigabytes(limits.availableBytes)} GB are available: ask for fewer.`,
    );
  }
  return obstacles;
}

export function readLimits(): MachineLimits {
  const openFiles = /^Max open files +(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  const { low, high } = readPortRange();
  const [tracked] = readNumbers('/proc/sys/net/netfilter/nf_conntrack_count') ?? [];
  const [maxTracked] = readNumbers('/proc/sys/net/netfilter/nf_conntrack_max') ?? [];
  const [openedFiles = 0, , maxFiles = Number.MAX_SAFE_INTEGER] = readNumbers('/proc/sys/fs/file-nr') ?? [];
  const available = /^MemAvailable: +(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0;
  return {
    maxOpenFiles: openFiles === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(openFiles ?? 1024),
    ports: high - low + 1,
    conntrackLeft: tracked === undefined || maxTracked === undefined ? null : maxTracked - tracked,
    filesLeft: maxFiles - openedFiles,
    availableBytes: Number(available) * 1024,
  };
}

/** net.ipv4.ip_local_port_range: from which the kernel chooses ports for clients. */
export function readPortRange(): { readonly low: number; readonly high: number } {
  const [low = 32_768, high = 60_999] = readNumbers('/proc/sys/net/ipv4/ip_local_port_range') ?? [];
  return { low, high };
}

function toGigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(1);
}

function readNumbers(path: string): number[] | undefined {
  try {
    return readFileSync(path, 'utf8').trim().split(/\s+/).map(Number);
  } catch {
    // The file is there only when the kernel has the feature loaded.
    return undefined;
  }
}
