import { readFileSync } from 'node:fs';

/** Descriptors that a load process needs for itself: standard streams, epoll, libuv, IPC, modules being read. */
const RESERVED_DESCRIPTORS = 256;

/** What this machine allows; see readLimits. */
export interface MachineLimits {
  /** RLIMIT_NOFILE of each process. */
  readonly maxOpenFiles: number;
  /** Size of net.ipv4.ip_local_port_range: ports for one source address to one destination. */
  readonly ports: number;
  /** Entries that connection tracking still takes, or null when it is not loaded; one is used by each connection. */
  readonly conntrackLeft: number | null;
}

export interface Wish {
  readonly connections: number;
  readonly processes: number;
  /** 0: the kernel chooses one. */
  readonly sourceAddresses: number;
}

/** Connections that one process can hold. */
export function capacityPerProcess(limits: MachineLimits): number {
  return Math.max(0, limits.maxOpenFiles - RESERVED_DESCRIPTORS);
}

/** Why the machine cannot make these connections, each with what to change. Empty when it can. */
export function findObstacles(wish: Wish, limits: MachineLimits): string[] {
  const { connections, processes, sourceAddresses } = wish;
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
  return obstacles;
}

export function readLimits(): MachineLimits {
  const openFiles = /^Max open files +(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  const [low = 32_768, high = 60_999] = readNumbers('/proc/sys/net/ipv4/ip_local_port_range') ?? [];
  const [tracked] = readNumbers('/proc/sys/net/netfilter/nf_conntrack_count') ?? [];
  const [maxTracked] = readNumbers('/proc/sys/net/netfilter/nf_conntrack_max') ?? [];
  return {
    maxOpenFiles: openFiles === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(openFiles ?? 1024),
    ports: high - low + 1,
    conntrackLeft: tracked === undefined || maxTracked === undefined ? null : maxTracked - tracked,
  };
}

function readNumbers(path: string): number[] | undefined {
  try {
    return readFileSync(path, 'utf8').trim().split(/\s+/).map(Number);
  } catch {
    // The file is there only when the kernel has the feature loaded.
    return undefined;
  }
}
