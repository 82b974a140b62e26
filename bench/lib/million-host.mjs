import {
  addressesNeeded,
  ECHO_CONNECTIONS,
  MAX_CONNECTIONS_PER_LOAD,
  MIN_AVAILABLE_BYTES,
} from './big-farm.mjs';
import {
  readConntrackLeft,
  readDescriptorLimit,
  readFilesLeft,
  readMemory,
  readSocketsUnread,
} from './machine.mjs';

/** @typedef {{ connections: number, workers: number }} Size Of a big farm, without the connections that echo. */

/** Descriptors that a worker needs for other things than connections, and room for an uneven share. */
const DESCRIPTORS_SPARED = 0.1;
const MAX_PER_WORKER = 250_000;
/** The last number of an address, less some. */
const MAX_ADDRESSES = 250;
/**
 * Measured on Linux 6.18: both ends of a connection in the kernel with what the farm, Redis and the client keep of it; an
 * empty worker; a process of clients.
 */
const BYTES_PER_PAIR = 9200;
const WORKER_BYTES = 16e6;
const CLIENT_PROCESS_BYTES = 14e6;

/**
 * As many workers as the limit of descriptors asks for.
 * @param {number} connections
 */
export function workersNeeded(connections) {
  return Math.ceil((connections + ECHO_CONNECTIONS) / connectionsPerWorker());
}

function connectionsPerWorker() {
  return Math.min(MAX_PER_WORKER, Math.floor(readDescriptorLimit() * (1 - DESCRIPTORS_SPARED)));
}

/**
 * Why this host cannot do it at all, one sentence each with what to change; nothing is changed.
 * @param {Size} size
 */
export async function findObstacles({ connections, workers }) {
  const obstacles = [];
  const needed = connections + ECHO_CONNECTIONS;
  const perWorker = connectionsPerWorker();
  if (needed > workers * perWorker) {
    obstacles.push(
      `${needed} connections do not fit into ${workers} workers of ${perWorker} each: ` +
        `use --workers ${workersNeeded(connections)} or more, or raise the descriptor limit ("ulimit -Hn" is ${readDescriptorLimit()}).`,
    );
  }
  if (addressesNeeded(Math.min(connections, MAX_CONNECTIONS_PER_LOAD)) > MAX_ADDRESSES)
    obstacles.push('net.ipv4.ip_local_port_range is too small: set it to "32768 60999" or wider.');
  const tracking = await readConntrackLeft();
  if (needed > tracking) {
    obstacles.push(
      `connection tracking sees loopback and has room for ${tracking} more: raise net.netfilter.nf_conntrack_max above ${needed * 1.2}, ` +
        'or exempt the interface lo (NOTRACK).',
    );
  }
  if (needed * 2.1 > readFilesLeft()) {
    obstacles.push(
      `the system takes ${readFilesLeft()} more open files: raise fs.file-max by ${Math.ceil(needed * 2.1)}.`,
    );
  }
  return obstacles;
}

/**
 * What will be short on this host, one sentence each.
 * @param {Size} size
 */
export function findShortages({ connections, workers }) {
  const shortages = [];
  if (connections / 2 > readSocketsUnread()) {
    shortages.push(
      `the third value of net.ipv4.tcp_mem is ${readSocketsUnread()} pages: when so many clients have a broadcast unread, the kernel ` +
        `drops packets and sends them again. Raise it to ${connections}.`,
    );
  }
  const clientProcesses = Math.ceil(connections / connectionsPerWorker());
  const bytes =
    connections * BYTES_PER_PAIR +
    workers * WORKER_BYTES +
    clientProcesses * CLIENT_PROCESS_BYTES +
    MIN_AVAILABLE_BYTES;
  const { availableBytes } = readMemory();
  if (bytes > availableBytes) {
    shortages.push(
      `about ${(bytes / 1e9).toFixed(1)} GB of memory are needed and ${(availableBytes / 1e9).toFixed(1)} GB are available: ` +
        'connecting will stop when they are used up, and the number reached is reported.',
    );
  }
  return shortages;
}
