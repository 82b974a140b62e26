import { fileURLToPath } from 'node:url';
import { ChildProgram } from './child-program.mjs';
import { fetchPeer } from './peers.mjs';
import { processTree } from './processes.mjs';

/**
 * @import { Complaints } from './child-program.mjs'
 * @import { LoadOptions } from './load.mjs'
 *
 * @typedef {object} ServerOptions
 * @property {'echo' | 'fair' | 'reload' | 'leaking'} [app] All but `echo` only of Roost; left out for the plain dialect.
 * @property {number} [port] Of Roost; default: a free one.
 * @property {number} [workers] Of Roost; default 2.
 * @property {number} [connections] Sizes the tables of Roost.
 * @property {string} [channel] Every connection is subscribed to it from its handshake on.
 * @property {string} [redisUrl] Broadcasts come from there.
 * @property {boolean} [compression] Clients may agree on it.
 * @property {readonly string[]} [nodeArgs] Options of the Node that runs Roost.
 * @property {readonly string[]} [args] Further options of Roost.
 * @property {string} [namespace] The path of a network namespace to run in.
 * @property {NodeJS.ProcessEnv} [env] Added to the environment.
 *
 * @typedef {object} ServerKind
 * @property {(options: ServerOptions) => readonly string[]} args Of Node, or of the program that `command` gives.
 * @property {() => string} [command]
 * @property {boolean} [isSingle] Is one process.
 * @property {string} [urlPath] Default `/`.
 * @property {Partial<LoadOptions>} [client] What startLoad must know about its protocol.
 *
 * @typedef {object} Server
 * @property {string} name
 * @property {string} url
 * @property {Partial<LoadOptions>} client Further options of startLoad.
 * @property {number[]} pids Of the whole tree: a server is charged for every process that it runs.
 * @property {number} masterPid
 * @property {number[]} workerPids
 * @property {Complaints} complaints Of its log since it is ready.
 * @property {() => Promise<void>} stop
 */

/** @param {string} relative */
const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

/**
 * Every server that is measured, by the name that the table shows.
 * @type {Readonly<Record<string, ServerKind>>}
 */
const SERVERS = {
  Roost: {
    args: ({ app, port = 0, workers = 2, connections, redisUrl, compression, nodeArgs = [], args = [] }) => [
      ...nodeArgs,
      path('../../apps/roost/bin/roost.js'),
      'start',
      ...(app === undefined ? [] : [path(`../servers/roost-${app}-app.mjs`)]),
      '--host=127.0.0.1',
      `--port=${port}`,
      `--workers=${workers}`,
      '--log-level=info',
      ...(args.some((arg) => arg.startsWith('--admin-port')) ? [] : ['--admin-port=off']),
      // Least connections keeps workers even, but hand-offs under way may make one a little fuller.
      ...(connections === undefined
        ? []
        : ['--max-connections-per-worker', String(Math.ceil((connections / workers) * 1.05) + 100)]),
      ...(redisUrl === undefined ? [] : ['--redis-url', redisUrl]),
      ...(compression === true ? ['--compression=on'] : []),
      ...args,
    ],
  },
  'ws cluster': { args: () => [path('../servers/ws-cluster.mjs')] },
  ws: { args: () => [path('../servers/ws.mjs')], isSingle: true },
  Bun: { command: () => fetchPeer('Bun'), args: () => [path('../servers/bun.mjs')], isSingle: true },
  'socket.io': {
    args: () => [path('../servers/socket-io.mjs'), fetchPeer('socket.io')],
    isSingle: true,
    urlPath: '/socket.io/?EIO=4&transport=websocket',
    // A message (4) of Engine.IO that connects (0) to the main namespace of Socket.IO, and one with an event (2).
    client: { says: ['40'], awaits: '40{', messageTemplate: '42["message","{data}"]' },
  },
  'bare poller': { args: () => [path('../servers/bare-poller.mjs')], isSingle: true },
};

export const SERVER_NAMES = Object.keys(SERVERS);

/** What one process can hold with 20,000 descriptors. */
export const MAX_IN_ONE_PROCESS = 18_000;

/**
 * So many of `connections` as a server can hold.
 * @param {string} serverName
 * @param {number} connections
 */
export function connectionsFor(serverName, connections) {
  return SERVERS[serverName].isSingle ? Math.min(connections, MAX_IN_ONE_PROCESS) : connections;
}

/**
 * Starts a server and waits until it serves.
 * @param {string} name
 * @param {ServerOptions} [options]
 * @returns {Promise<Server>}
 */
export async function startServer(name, options = {}) {
  const env = {
    ...(options.redisUrl === undefined ? {} : { REDIS_URL: options.redisUrl }),
    ...(options.compression === true ? { COMPRESSION: 'on' } : {}),
    ...(options.channel === undefined ? {} : { CHANNEL: options.channel }),
    ...options.env,
  };
  const { args, command, urlPath = '/', client = {} } = SERVERS[name];
  const program = new ChildProgram(name, args(options), {
    env,
    command: command?.(),
    namespace: options.namespace,
  });
  try {
    /** @type {{ port: number, workers: { pid: number }[] }} */
    const { port, workers } = await program.nextLine(({ msg }) => msg === 'farm ready');
    const complaints = program.discardOutput();
    const isPlain = name === 'Roost' && options.app === undefined;
    return {
      name,
      url: `ws://127.0.0.1:${port}${isPlain ? '/plain' : urlPath}`,
      client,
      pids: processTree(program.pid),
      masterPid: program.pid,
      workerPids: workers.map((worker) => worker.pid),
      complaints,
      stop: () => program.stop(),
    };
  } catch (error) {
    await program.stop();
    throw error;
  }
}
