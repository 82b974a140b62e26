import { setPriority } from 'node:os';
import { API_KEY, readInfo } from './api.mjs';
import { startLoad } from './load.mjs';
import { giveBackCaches, readMemory, readPorts } from './machine.mjs';
import { cpuMs, isRunning, memoryOf, processTree, putLast } from './processes.mjs';
import { startRedis } from './redis.mjs';
import { startServer } from './servers.mjs';

export const HEARTBEAT_MS = 60_000;
/** Connections that echo, beside those that are subscribed. */
export const ECHO_CONNECTIONS = 1000;
/** One message a second from each. */
const ECHO_PER_SECOND = 1000;
const ECHO_BYTES = 64;
const MIN_ECHO_SECONDS = 3;
/** nice(2) of the process that measures echoes: what it waits for a CPU is not the farm's. Takes root. */
const ECHO_PRIORITY = -10;
/**
 * Handshakes under way in all. Each of many processes that share few CPUs should find more than one to do when its turn
 * comes; and the listen queue (somaxconn, 4,096) must hold those that the master has not accepted.
 */
const IN_FLIGHT = 3000;
/** Of one roost-load, whose processes share them. Below what connection tracking takes by default. */
export const MAX_CONNECTIONS_PER_LOAD = 200_000;
/** Opened between two looks at how it goes. */
const OPENED_AT_A_TIME = 10_000;
/** Of the ports of one source address. The kernel searches for long in a range that is nearly full. */
const MAX_USE_OF_PORTS = 0.6;
/** Opening ends when the machine has no more than this left. Each roost-load still opens what it was asked for. */
export const MIN_AVAILABLE_BYTES = 2e9;
const MAX_FAILED = 1000;
const BROADCAST_TIMEOUT_SECONDS = 120;
/** Names of the farm's counters. */
const LOSS = /^(?:closed|ended|close_timeouts|.*dropped|worker_kills|stalls)/;
const PAYLOAD = 'broadcast '.repeat(13).slice(0, 128);

/**
 * @import { Load } from './load.mjs'
 * @import { RedisServer } from './redis.mjs'
 * @import { Server } from './servers.mjs'
 *
 * @typedef {object} LoadOfMany
 * @property {Load} load
 * @property {number} share Connections that it is to open.
 * @property {number} connected Those that it has opened so far.
 * @property {Readonly<Record<string, number>>} failed By reason.
 *
 * @typedef {object} Parts
 * @property {RedisServer} redis
 * @property {Server} server
 * @property {LoadOfMany[]} loads
 * @property {Load} echoLoad
 */

/**
 * One farm with a great many connections, as people start it, on Redis: each connection is subscribed to a channel of its
 * own and one of all, 1,000 more are there to echo. `open` may be called once; what it has reached is what the rest measures.
 */
export class BigFarm {
  #redis;
  #server;
  #loads;
  #echoLoad;
  #published = 0;
  /** Whether the process that measures echoes goes before the others that want a CPU. */
  hasPriority;

  /** @param {Parts} parts */
  constructor({ redis, server, loads, echoLoad }) {
    this.#redis = redis;
    this.#server = server;
    this.#loads = loads;
    this.#echoLoad = echoLoad;
    this.hasPriority = prefer(processTree(echoLoad.pid));
  }

  /**
   * Starts Redis, the farm and the clients' processes; nothing is connected yet but for the clients that echo.
   * @param {{ connections: number, workers: number }} size
   */
  static async start({ connections, workers }) {
    /** @type {LoadOfMany[]} */
    const loads = [];
    let redis;
    let server;
    let echoLoad;
    try {
      redis = await startRedis();
      server = await startServer('Roost', {
        app: 'echo',
        workers,
        connections: connections + ECHO_CONNECTIONS,
        redisUrl: redis.url,
        // Nobody is there any more when it is stopped: no closes to spread.
        args: [
          `--api-key=${API_KEY}`,
          `--heartbeat-ms=${HEARTBEAT_MS}`,
          '--drain-ms=1000',
          `--max-connections=${connections + ECHO_CONNECTIONS}`,
        ],
      });
      const url = `${server.url.replace(/\/$/, '')}/plain?channel=all`;
      const count = Math.ceil(connections / MAX_CONNECTIONS_PER_LOAD);
      for (let index = 0; index < count; index++) {
        const share = Math.floor((connections + index) / count);
        const load = await startLoad(`${url}&channel=u${index}-{i}`, {
          connections: share,
          processes: null,
          inFlight: Math.floor(IN_FLIGHT / count),
          sourceAddresses: addressesFor(share, index),
        });
        loads.push({ load, share, connected: 0, failed: {} });
      }
      echoLoad = await startLoad(server.url, { connections: ECHO_CONNECTIONS, processes: 1 });
      await echoLoad.open(ECHO_CONNECTIONS);
      return new BigFarm({ redis, server, loads, echoLoad });
    } catch (error) {
      await endAll({ redis, server, loads, echoLoad });
      throw error;
    }
  }

  /** Processes of the farm: the master, then the workers. */
  get pids() {
    return this.#server.pids;
  }

  get workers() {
    return this.#server.workerPids.length;
  }

  /** Processes that make the clients. */
  get clientPids() {
    return [...this.#loads.map(({ load }) => load), this.#echoLoad].flatMap((load) => processTree(load.pid));
  }

  /** Warnings and errors that the farm has logged; see ChildProgram.discardOutput. */
  get complaints() {
    return this.#server.complaints;
  }

  /** Connections that have opened so far, without those that echo. */
  get connected() {
    return this.#loads.reduce((sum, { connected }) => sum + connected, 0);
  }

  /** Failed handshakes, by reason. */
  get failed() {
    /** @type {Record<string, number>} */
    const failed = {};
    for (const load of this.#loads) {
      for (const [reason, count] of Object.entries(load.failed))
        failed[reason] = (failed[reason] ?? 0) + count;
    }
    return failed;
  }

  get failedCount() {
    return Object.values(this.failed).reduce((sum, count) => sum + count, 0);
  }

  /** CPU that has been used so far, in ms. */
  cpu() {
    this.#assertWhole();
    return {
      farm: cpuMs(this.pids),
      master: cpuMs([this.#server.masterPid]),
      redis: cpuMs([this.#redis.pid]),
    };
  }

  /**
   * User memory of the farm and of Redis, and the kernel's of the whole machine, both ends of each connection and without
   * what it would give back, in bytes.
   */
  memory() {
    this.#assertWhole();
    giveBackCaches();
    return { farm: memoryOf(this.pids), redis: memoryOf([this.#redis.pid]), ...readMemory() };
  }

  /**
   * Opens them all and resolves when each has opened or failed. Ends early when the machine's memory does, or when too many
   * have failed: `stoppedBy` says so. One process of each roost-load at a time: 60 that share the CPUs would each be woken
   * for one message, and cost more than the farm.
   */
  async open() {
    const startedAt = performance.now();
    /** @type {string | undefined} */
    let stoppedBy;
    await Promise.all(
      this.#loads.map(async (one) => {
        const { processCount } = one.load;
        for (let process = 0; process < processCount; process++) {
          const share = Math.floor((one.share + process) / processCount);
          for (let left = share; left > 0 && stoppedBy === undefined; left -= OPENED_AT_A_TIME) {
            const report = await one.load.ask({
              do: 'open',
              process,
              count: Math.min(left, OPENED_AT_A_TIME),
            });
            one.connected = report.connected;
            one.failed = report.failed;
            stoppedBy ??= this.#whyToStop();
          }
        }
      }),
    );
    return { seconds: (performance.now() - startedAt) / 1000, stoppedBy };
  }

  /** From now on the clients get what CPU the farm leaves; see putLast. Cannot be undone without root. */
  putClientsLast() {
    for (const { load } of this.#loads) {
      putLast(load.pid);
    }
  }

  /**
   * One publication to all. Answers the milliseconds until the last of them had it; throws when one does not get it within
   * two minutes.
   */
  async broadcast() {
    const messages = ++this.#published;
    const publishedAt = performance.timeOrigin + performance.now();
    await this.#redis.publish('roost:channel:all', PAYLOAD);
    const reports = await Promise.all(
      this.#loads.map(({ load }) =>
        load.ask({ do: 'await', messages, timeoutSeconds: BROADCAST_TIMEOUT_SECONDS }),
      ),
    );
    const missed = reports.reduce((sum, { open, satisfied }) => sum + open - satisfied, 0);
    if (missed > 0) {
      throw new Error(
        `${missed} of ${this.connected} connections did not get publication ${messages} within ${BROADCAST_TIMEOUT_SECONDS} s`,
      );
    }
    return Math.max(...reports.map(({ lastMessageAt }) => lastMessageAt)) - publishedAt;
  }

  /** Echoes at their rate, each latency from when its message was due. Throws when one is wrong or lost. */
  async echo(seconds = MIN_ECHO_SECONDS) {
    const result = await this.#echoLoad.ask({
      do: 'echo',
      connections: ECHO_CONNECTIONS,
      seconds,
      perSecond: ECHO_PER_SECOND,
      payloadBytes: ECHO_BYTES,
    });
    if (result.wrong > 0 || result.unanswered > 0)
      throw new Error(`${result.wrong} echoes were wrong, ${result.unanswered} messages were not answered`);
    const { echoes, latencyMs } = result;
    return { echoes, seconds, latencyMs };
  }

  /**
   * Echoes for nine tenths of the time that a broadcast takes, or 3 s, and broadcasts meanwhile: one after the other until
   * the echoes end, so that none of them is measured on a farm that rests.
   * @param {number} broadcastMs
   */
  async echoDuringBroadcasts(broadcastMs) {
    const echoing = this.echo(Math.max(MIN_ECHO_SECONDS, (broadcastMs / 1000) * 0.9));
    const ended = new AbortController();
    const broadcasting = async () => {
      const spreads = [];
      do spreads.push(Math.round(await this.broadcast()));
      while (!ended.signal.aborted);
      return spreads;
    };
    const [echo, spreads] = await Promise.all([echoing.finally(() => ended.abort()), broadcasting()]);
    return { ...echo, spreads };
  }

  /** Connections that are open now, without those that echo. */
  async countOpen() {
    const reports = await this.#reports();
    return reports.reduce((sum, { open }) => sum + open, 0);
  }

  /** Throws unless every connection that has opened is open and has had each publication once. */
  async assertExactlyOnce() {
    const reports = await this.#reports();
    const open = reports.reduce((sum, report) => sum + report.open, 0);
    const fewest = Math.min(...reports.map((report) => report.fewest));
    const most = Math.max(...reports.map((report) => report.most));
    if (open !== this.connected || fewest !== this.#published || most !== this.#published) {
      const closes = reports.map((report) => JSON.stringify(report.closes)).join(' ');
      throw new Error(
        `${open} of ${this.connected} connections are open (closes: ${closes}) and have received from ${fewest} to ${most} of ${this.#published} publications`,
      );
    }
  }

  /** What the farm has counted that cost somebody a connection or a message; nothing else. */
  async lossesByReason() {
    const { counters } = await readInfo(this.#server);
    return Object.fromEntries(
      Object.entries(counters).filter(([name, count]) => LOSS.test(name) && count > 0),
    );
  }

  /** Ends everything. */
  stop() {
    return endAll({
      redis: this.#redis,
      server: this.#server,
      loads: this.#loads,
      echoLoad: this.#echoLoad,
    });
  }

  #reports() {
    return Promise.all(this.#loads.map(({ load }) => load.ask({ do: 'report' })));
  }

  #whyToStop() {
    const { availableBytes } = readMemory();
    if (availableBytes < MIN_AVAILABLE_BYTES)
      return `memory: ${(availableBytes / 1e9).toFixed(1)} GB are left of this machine's`;
    if (this.failedCount > MAX_FAILED) return `failures: ${JSON.stringify(this.failed)}`;
    return undefined;
  }

  /** A worker that was replaced would take its part of every figure with it. */
  #assertWhole() {
    if (!isRunning(this.#redis.pid)) throw new Error(`Redis has ended (pid ${this.#redis.pid})`);
    const gone = this.pids.filter((pid) => !isRunning(pid));
    if (gone.length > 0) {
      const log = [...this.complaints.values()].map(({ first }) => first).join('\n');
      throw new Error(`processes ${gone.join(', ')} of the farm have ended; its log:\n${log}`);
    }
  }
}

/**
 * The clients vanish first, without a word: a million closes are nobody's figure.
 * @param {{ [Part in keyof Parts]: Parts[Part] | undefined }} parts
 */
async function endAll({ redis, server, loads = [], echoLoad }) {
  const all = [...loads.map(({ load }) => load), ...(echoLoad === undefined ? [] : [echoLoad])];
  await Promise.all(all.map((load) => load.kill()));
  await server?.stop();
  await redis?.stop();
}

/** @param {readonly number[]} pids */
function prefer(pids) {
  try {
    for (const pid of pids) setPriority(pid, ECHO_PRIORITY);
    return true;
  } catch {
    // Only root may.
    return false;
  }
}

/**
 * Source addresses that one roost-load needs.
 * @param {number} connections
 */
export function addressesNeeded(connections) {
  return Math.ceil(connections / (readPorts() * MAX_USE_OF_PORTS));
}

/**
 * Of its own for each roost-load: 127.0.1.x, 127.0.2.x …
 * @param {number} connections
 * @param {number} index
 */
function addressesFor(connections, index) {
  const first = 2;
  return `127.0.${index + 1}.${first}-127.0.${index + 1}.${first + addressesNeeded(connections) - 1}`;
}
