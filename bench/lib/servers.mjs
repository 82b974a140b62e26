import { fileURLToPath } from 'node:url';
import { ChildProgram } from './child-program.mjs';
import { fetchPeer } from './peers.mjs';
import { processTree } from './processes.mjs';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

/**
 * Every server that is measured, by the name that the table shows: the arguments of Node, or of the program that `command`
 * gives; whether it `isSingle`, one process; its `urlPath`, when that is not `/`; and as `client` what startLoad must know
 * about its protocol.
 */
const SERVERS = {
  Roost: {
    args: ({ app, workers = 2, connections, redisUrl, compression, nodeArgs = [], args = [] }) => [
      ...nodeArgs,
      path('../../apps/roost/bin/roost.js'),
      'start',
      ...(app === undefined ? [] : [path(`../servers/roost-${app}-app.mjs`)]),
      '--host=127.0.0.1',
      '--port=0',
      `--workers=${workers}`,
      '--log-level=info',
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

/** So many of `connections` as a server can hold. */
export function connectionsFor(serverName, connections) {
  return SERVERS[serverName].isSingle ? Math.min(connections, MAX_IN_ONE_PROCESS) : connections;
}

/**
 * Starts a server and waits until it serves. `app` is `echo`, for Roost also `fair`, or left out for the plain dialect;
 * `connections` sizes Roost's tables; with `redisUrl` broadcasts come from there; with `compression` clients may agree on
 * it; `args` are further options of Roost, `nodeArgs` of its Node, and `env` is added to the environment.
 */
export async function startServer(name, options = {}) {
  const env = {
    ...(options.redisUrl === undefined ? {} : { REDIS_URL: options.redisUrl }),
    ...(options.compression === true ? { COMPRESSION: 'on' } : {}),
    ...options.env,
  };
  const { args, command, urlPath = '/', client = {} } = SERVERS[name];
  const program = new ChildProgram(name, args(options), { env, command: command?.() });
  try {
    const { port, workers } = await program.nextLine((line) => line.msg === 'farm ready');
    const complaints = program.discardOutput();
    const isPlain = name === 'Roost' && options.app === undefined;
    return {
      name,
      url: `ws://127.0.0.1:${port}${isPlain ? '/plain' : urlPath}`,
      /** Further options of startLoad. */
      client,
      /** Of the whole tree: a server is charged for every process that it runs. */
      pids: processTree(program.pid),
      masterPid: program.pid,
      workerPids: workers.map((worker) => worker.pid),
      /** Warnings and errors of its log since it is ready; see ChildProgram.discardOutput. */
      complaints,
      stop: () => program.stop(),
    };
  } catch (error) {
    await program.stop();
    throw error;
  }
}
