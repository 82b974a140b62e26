import { startLoad } from '../lib/load.mjs';
import { memoryOf, waitUntilQuiet, waitUntilSettled } from '../lib/processes.mjs';
import { connectionsFor, startServer } from '../lib/servers.mjs';

/**
 * @import { Row } from '../lib/row.mjs'
 *
 * @typedef {object} IdleOptions
 * @property {string} name
 * @property {readonly string[]} servers
 * @property {'echo'} [app] Left out for the plain dialect.
 * @property {readonly string[]} [channels]
 * @property {number} max The target, in bytes.
 */

const FEW = 2000;

/** User memory of an idle connection, all processes of the server together. No garbage collection is forced. */
export const idle = idleRow({
  name: 'idle',
  servers: ['Roost', 'Bun', 'ws cluster', 'socket.io'],
  app: 'echo',
  max: 100,
});

/** The same, each in a channel of its own and one of all. */
export const idleTwoChannels = idleRow({
  name: 'idle-two-channels',
  servers: ['Roost'],
  channels: ['news', 'u{i}'],
  max: 200,
});

/**
 * @param {IdleOptions} options
 * @returns {Row}
 */
function idleRow({ name, servers, app, channels = [], max }) {
  const what = channels.length === 0 ? 'idle connection' : 'idle connection in two channels';
  return {
    name,
    servers,
    figures: [
      {
        key: 'slope',
        title: `user memory per ${what}, warmed up`,
        unit: 'B',
        digits: 0,
        targets: [{ max }],
      },
      {
        key: 'first',
        title: 'the same, cold (with heap growth)',
        unit: 'B',
        digits: 0,
        targets: [],
      },
    ],
    measure: (serverName, settings) =>
      measureIdle(serverName, connectionsFor(serverName, settings.connections), {
        ...(app !== undefined && { app }),
        channels,
      }),
  };
}

/**
 * @param {string} serverName
 * @param {number} connections
 * @param {Pick<IdleOptions, 'app'> & { channels: readonly string[] }} options
 */
async function measureIdle(serverName, connections, { channels, ...options }) {
  const server = await startServer(serverName, { ...options, connections });
  let load;
  try {
    load = await startLoad(server.url, { connections, channels, ...server.client });
    await waitUntilSettled(server.pids);
    const empty = memoryOf(server.pids);
    await load.open(connections);
    await waitUntilSettled(server.pids);
    const first = memoryOf(server.pids);
    await load.ask({ do: 'close' });
    await waitUntilQuiet(server.pids);
    await load.open(FEW);
    await waitUntilSettled(server.pids);
    const few = memoryOf(server.pids);
    await load.open(connections - FEW);
    await waitUntilSettled(server.pids);
    await load.assertAllOpen(connections);
    const many = memoryOf(server.pids);
    return {
      values: {
        slope: (many.own - few.own) / (connections - FEW),
        first: (first.own - empty.own) / connections,
      },
      details: { empty, first, few, many },
    };
  } finally {
    await load?.stop();
    await server.stop();
  }
}
