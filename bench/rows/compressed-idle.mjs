import { sampleJson, startDeflatingClients } from '../lib/deflating-clients.mjs';
import { memoryOf, waitUntilQuiet } from '../lib/processes.mjs';
import { startServer } from '../lib/servers.mjs';

/**
 * @import { DeflatingClients } from '../lib/deflating-clients.mjs'
 * @import { Row } from '../lib/row.mjs'
 * @import { Server } from '../lib/servers.mjs'
 */

const FEW = 1000;
const MANY = 10_000;
/** ws takes a quarter of a megabyte for each. */
const MANY_FOR_WS = 3000;

/**
 * User memory of an idle connection that has agreed on compression, and has sent and received compressed messages.
 * @type {Row}
 */
export const compressedIdle = {
  name: 'compressed-idle',
  servers: ['Roost', 'ws'],
  figures: [
    {
      key: 'slope',
      title: 'user memory per idle connection after compressed messages',
      unit: 'B',
      digits: 0,
      targets: [{ max: 150 }],
    },
  ],

  async measure(serverName) {
    const connections = serverName === 'ws' ? MANY_FOR_WS : MANY;
    const server = await startServer(serverName, { app: 'echo', connections, compression: true });
    let clients;
    try {
      clients = await startDeflatingClients(server.url);
      await clients.ask({ do: 'expect', text: sampleJson() });
      await use(clients, server, connections);
      await clients.ask({ do: 'close' });
      await waitUntilQuiet(server.pids);
      const few = await use(clients, server, FEW);
      const many = await use(clients, server, connections);
      return { values: { slope: (many.own - few.own) / (connections - FEW) }, details: { few, many } };
    } finally {
      await clients?.stop();
      await server.stop();
    }
  },
};

/**
 * Opens so many, lets each send and receive, and answers the memory of the server when it rests.
 * @param {DeflatingClients} clients
 * @param {Server} server
 * @param {number} count
 */
async function use(clients, server, count) {
  await clients.ask({ do: 'open', count });
  await clients.ask({ do: 'echo', seconds: 0 });
  await waitUntilQuiet(server.pids);
  return memoryOf(server.pids);
}
