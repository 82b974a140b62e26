import { readdirSync, readFileSync } from 'node:fs';
import { bytesOf, memoryOf } from '../lib/processes.mjs';
import { readMetrics } from './scrape.mjs';

/**
 * @import { Server } from '../lib/servers.mjs'
 * @import { Metrics } from './scrape.mjs'
 *
 * @typedef {object} ProcessSample
 * @property {number} rss In bytes, as `pss` and `own`, which is the part that is no file's.
 * @property {number} pss
 * @property {number} own
 * @property {number} heap
 * @property {number} external
 * @property {number} descriptors
 *
 * @typedef {object} Sample
 * @property {number} seconds Since the soak began.
 * @property {Record<string, ProcessSample>} processes By `master`, `worker 0`, and so on.
 * @property {number} rows Sockets of all workers, in whatever state.
 * @property {Record<string, number>} sockets What the kernel has at the farm's port, by state.
 * @property {number} redisBytes Memory of Redis (RSS).
 * @property {number} [clients] Open ones, as they know it.
 */

/** Of TCP, as /proc/net/tcp has them in hexadecimal (include/net/tcp_states.h of Linux). */
const TCP_STATES = new Map([
  ['01', 'established'],
  ['02', 'syn sent'],
  ['03', 'syn received'],
  ['04', 'fin wait 1'],
  ['05', 'fin wait 2'],
  ['06', 'time wait'],
  ['07', 'close'],
  ['08', 'close wait'],
  ['09', 'last ack'],
  ['0B', 'closing'],
  ['0C', 'syn received'],
]);
const LISTEN = '0A';

/** Takes samples of a farm from outside: the kernel's view of its processes, and what it tells under /metrics. */
export class Sampler {
  #server;
  #redisPid;
  #metricsUrl;
  #startedAt = performance.now();

  /**
   * @param {Server} server
   * @param {{ redisPid: number, metricsUrl: string }} options
   */
  constructor(server, { redisPid, metricsUrl }) {
    this.#server = server;
    this.#redisPid = redisPid;
    this.#metricsUrl = metricsUrl;
  }

  /** @returns {Promise<Sample>} */
  async take() {
    const metrics = await readMetrics(this.#metricsUrl);
    const { masterPid, workerPids } = this.#server;
    /** @type {Record<string, ProcessSample>} */
    const processes = { master: sampleProcess(masterPid, 'master', metrics) };
    for (const [index, pid] of workerPids.entries()) {
      processes[`worker ${index}`] = sampleProcess(pid, String(index), metrics);
    }
    return {
      seconds: Number(((performance.now() - this.#startedAt) / 1000).toFixed(1)),
      processes,
      rows: metrics.sum('roost_sockets'),
      sockets: countSockets(Number(new URL(this.#server.url).port)),
      redisBytes: readRss(this.#redisPid),
    };
  }
}

/**
 * @param {number} pid
 * @param {string} label
 * @param {Metrics} metrics
 * @returns {ProcessSample}
 */
function sampleProcess(pid, label, metrics) {
  return {
    rss: readRss(pid),
    ...memoryOf([pid]),
    heap: metrics.sum('roost_nodejs_heap_used_bytes', { worker: label }),
    external: metrics.sum('roost_nodejs_external_memory_bytes', { worker: label }),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  };
}

/** @param {number} pid */
function readRss(pid) {
  return bytesOf(readFileSync(`/proc/${pid}/status`, 'utf8'), 'VmRSS');
}

/**
 * Also those that no process has any more.
 * @param {number} port
 */
function countSockets(port) {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  /** @type {Record<string, number>} */
  const counts = {};
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)) {
    const [, address, , state] = line.trim().split(/\s+/);
    if (address === undefined || !address.endsWith(local) || state === LISTEN) continue;
    const name = TCP_STATES.get(state) ?? state;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/**
 * How many of the kernel's sockets belong to somebody: not those in TIME_WAIT, which it keeps for a minute by itself.
 * @param {Record<string, number>} sockets
 */
export function countHeld(sockets) {
  return Object.entries(sockets).reduce(
    (sum, [state, count]) => (state === 'time wait' ? sum : sum + count),
    0,
  );
}
