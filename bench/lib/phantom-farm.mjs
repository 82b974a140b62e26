import { fileURLToPath } from 'node:url';
import { API_KEY } from './api.mjs';
import { ECHO_CONNECTIONS } from './big-farm.mjs';
import { ChildProgram } from './child-program.mjs';
import { startLoad } from './load.mjs';
import { giveBackCaches, readMemory } from './machine.mjs';
import { cpuMs, isRunning, memoryOf, processTree } from './processes.mjs';
import { startServer } from './servers.mjs';

const API_CLIENT = fileURLToPath(new URL('../clients/api.mjs', import.meta.url));
/** In the namespace, where nothing else listens. */
const PORT = 8080;
const CHANNEL = 'all';
/** Handshakes under way. */
const IN_FLIGHT = 2000;
/** Opened between two looks at how it goes. */
const OPENED_AT_A_TIME = 20_000;
/** Left to the machine: below, it stops. */
export const MIN_FREE_BYTES = 2e9;
const MAX_FAILED = 1000;
/** Of the limit of connections: each call of the API is one for its time, and no worker may be full before the others. */
const SPARE_CONNECTIONS = 1000;
const BROADCAST_TIMEOUT_SECONDS = 300;
const PAYLOAD = 'x'.repeat(128);
const ECHO_PER_SECOND = 1000;
const ECHO_BYTES = 64;
const MIN_ECHO_SECONDS = 3;
const LOSS = /^(?:closed|refused|rejected|dropped|slow|stalls|ended)/;

/**
 * @import { FarmInfo } from '@roost/farm'
 * @import { Load } from './load.mjs'
 * @import { Server } from './servers.mjs'
 *
 * @typedef {object} Parts
 * @property {Load} phantoms
 * @property {Server} server
 * @property {Load} echoLoad
 * @property {ChildProgram} api
 * @property {number} startSeconds
 */

/**
 * One farm and its phantom clients, in a network namespace that roost-load makes for them: what the kernel keeps is the
 * server's end alone. 1,000 clients of the kernel echo beside them.
 */
export class PhantomFarm {
  #phantoms;
  #server;
  #echoLoad;
  #api;
  #published = 0;
  /** From the start of the master until all workers serve. */
  startSeconds;
  /** @type {Readonly<Record<string, number>>} By reason. */
  failed = {};
  connected = 0;

  /** @param {Parts} parts */
  constructor({ phantoms, server, echoLoad, api, startSeconds }) {
    this.#phantoms = phantoms;
    this.#server = server;
    this.#echoLoad = echoLoad;
    this.#api = api;
    this.startSeconds = startSeconds;
  }

  /** @param {{ connections: number, workers: number, heartbeatMs: number }} size */
  static async start({ connections, workers, heartbeatMs }) {
    /** @type {Partial<Parts>} */
    const parts = {};
    try {
      parts.phantoms = await startLoad(`ws://127.0.0.1:${PORT}/plain?channel=${CHANNEL}`, {
        connections,
        processes: null,
        inFlight: IN_FLIGHT,
        isPhantom: true,
      });
      const { namespace } = parts.phantoms;
      if (namespace === undefined) throw new Error('roost-load has made no namespace');
      const startedAt = performance.now();
      parts.server = await startServer('Roost', {
        app: 'echo',
        workers,
        connections: connections + ECHO_CONNECTIONS,
        namespace,
        port: PORT,
        args: [
          `--api-key=${API_KEY}`,
          `--heartbeat-ms=${heartbeatMs}`,
          '--drain-ms=1000',
          '--backlog=65535',
          `--max-connections=${connections + ECHO_CONNECTIONS + SPARE_CONNECTIONS}`,
        ],
      });
      const startSeconds = (performance.now() - startedAt) / 1000;
      parts.api = new ChildProgram('the API client', [API_CLIENT], { namespace });
      parts.echoLoad = await startLoad(parts.server.url, {
        connections: ECHO_CONNECTIONS,
        processes: 1,
        namespace,
      });
      await parts.echoLoad.open(ECHO_CONNECTIONS);
      const { phantoms, server, api, echoLoad } = parts;
      return new PhantomFarm({ phantoms, server, api, echoLoad, startSeconds });
    } catch (error) {
      await endAll(parts);
      throw error;
    }
  }

  get pids() {
    return this.#server.pids;
  }

  get complaints() {
    return this.#server.complaints;
  }

  get failedCount() {
    return Object.values(this.failed).reduce((sum, count) => sum + count, 0);
  }

  /** CPU that has been used so far, in ms. The server's TCP input runs in the writes of the phantoms, and is theirs here. */
  cpu() {
    this.#assertWhole();
    return {
      farm: cpuMs(this.pids),
      master: cpuMs([this.#server.masterPid]),
      phantoms: cpuMs(processTree(this.#phantoms.pid)),
    };
  }

  /** User memory by process, and the kernel's of the whole machine without what it would give back, in bytes. */
  memory() {
    this.#assertWhole();
    giveBackCaches();
    return {
      farm: memoryOf(this.pids),
      master: memoryOf([this.#server.masterPid]),
      phantoms: memoryOf(processTree(this.#phantoms.pid)),
      ...readMemory(),
    };
  }

  /**
   * Opens them all. Ends early when memory does, or when too many have failed: `stoppedBy` says so.
   * @param {number} connections
   */
  async open(connections) {
    const startedAt = performance.now();
    /** @type {string | undefined} */
    let stoppedBy;
    for (let left = connections; left > 0 && stoppedBy === undefined; left -= OPENED_AT_A_TIME) {
      const report = await this.#phantoms.ask({ do: 'open', count: Math.min(left, OPENED_AT_A_TIME) });
      this.connected = report.connected;
      this.failed = report.failed;
      const { availableBytes } = readMemory();
      if (availableBytes < MIN_FREE_BYTES)
        stoppedBy = `memory: ${(availableBytes / 1e9).toFixed(1)} GB are left of this machine's`;
      else if (this.failedCount > MAX_FAILED) stoppedBy = `failures: ${JSON.stringify(this.failed)}`;
    }
    return { seconds: (performance.now() - startedAt) / 1000, stoppedBy };
  }

  /** One publication to all: the milliseconds until the last had it. */
  async broadcast() {
    const messages = ++this.#published;
    const { startedAt } = await this.#ask('publish', { channel: CHANNEL, data: PAYLOAD });
    const { open, satisfied, lastMessageAt } = await this.#phantoms.ask({
      do: 'await',
      messages,
      timeoutSeconds: BROADCAST_TIMEOUT_SECONDS,
    });
    if (satisfied < open) {
      throw new Error(`${open - satisfied} of ${open} did not get publication ${messages} in time`);
    }
    return lastMessageAt - startedAt;
  }

  async echo(seconds = MIN_ECHO_SECONDS) {
    const result = await this.#echoLoad.ask({
      do: 'echo',
      connections: ECHO_CONNECTIONS,
      seconds,
      perSecond: ECHO_PER_SECOND,
      payloadBytes: ECHO_BYTES,
    });
    if (result.wrong > 0 || result.unanswered > 0) {
      throw new Error(`${result.wrong} echoes were wrong, ${result.unanswered} messages were not answered`);
    }
    return result.latencyMs;
  }

  /**
   * A broadcast, and echoes for nine tenths of the time that the last one took.
   * @param {number} lastMs
   */
  async echoDuringBroadcast(lastMs) {
    const echoing = this.echo(Math.max(MIN_ECHO_SECONDS, (lastMs / 1000) * 0.9));
    const [latencyMs, broadcastMs] = await Promise.all([echoing, this.broadcast()]);
    return { latencyMs, broadcastMs };
  }

  /** Open phantoms, and closes by their code. */
  async look() {
    const { open, closes, fewest, most } = await this.#phantoms.ask({ do: 'report' });
    return { open, closes, isExactlyOnce: fewest === this.#published && most === this.#published };
  }

  /** What `/api/info` says, how long that takes, and how long it is. */
  async info() {
    const { result, ms } = await this.#ask('info');
    /** @type {FarmInfo} */
    const info = result.nodes[0];
    const losses = Object.entries(info.counters).filter(([name, count]) => LOSS.test(name) && count > 0);
    return { ms, bytes: JSON.stringify(result).length, losses: Object.fromEntries(losses) };
  }

  stop() {
    return endAll({
      phantoms: this.#phantoms,
      server: this.#server,
      echoLoad: this.#echoLoad,
      api: this.#api,
    });
  }

  /**
   * @param {string} method
   * @param {object} [body]
   * @returns {Promise<{ result: any, startedAt: number, ms: number }>}
   */
  async #ask(method, body = {}) {
    this.#api.write(JSON.stringify({ url: this.#server.url, method, body }));
    const answer = await this.#api.nextLine();
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }

  #assertWhole() {
    const gone = this.pids.filter((pid) => !isRunning(pid));
    if (gone.length === 0) return;
    const log = [...this.complaints.values()].map(({ first }) => first).join('\n');
    throw new Error(`processes ${gone.join(', ')} of the farm have ended; its log:\n${log}`);
  }
}

/**
 * The farm ends first, and its clients answer meanwhile: a kernel with millions of connections and nobody on the other side
 * would try for long.
 * @param {Partial<Parts>} parts
 */
async function endAll({ phantoms, server, echoLoad, api }) {
  await echoLoad?.kill();
  await api?.stop();
  await server?.stop();
  await phantoms?.stop();
}
