import { sampleJson, startDeflatingClients } from '../lib/deflating-clients.mjs';
import { cpuMs, waitUntilQuiet } from '../lib/processes.mjs';
import { startServer } from '../lib/servers.mjs';

/** @import { Row } from '../lib/row.mjs' */

const CONNECTIONS = 200;
const WARM_UP_SECONDS = 1;
const SECONDS = 4;

/**
 * Server CPU of one compressed text message received, inflated, compressed and sent back.
 * @type {Row}
 */
export const compressedEcho = {
  name: 'compressed-echo',
  servers: ['Roost', 'ws'],
  figures: [
    {
      key: 'cpu',
      title: 'server CPU per compressed echo of 2 KB JSON',
      unit: 'µs',
      digits: 1,
      targets: [{ peer: 'ws', maxRatio: 0.55 }],
    },
  ],

  async measure(serverName) {
    const server = await startServer(serverName, {
      app: 'echo',
      connections: CONNECTIONS,
      compression: true,
    });
    let clients;
    try {
      clients = await startDeflatingClients(server.url);
      await clients.ask({ do: 'open', count: CONNECTIONS });
      await clients.ask({ do: 'expect', text: sampleJson() });
      await clients.ask({ do: 'echo', seconds: WARM_UP_SECONDS });
      await waitUntilQuiet(server.pids);
      const before = cpuMs(server.pids);
      const { echoes } = await clients.ask({ do: 'echo', seconds: SECONDS });
      return { values: { cpu: ((cpuMs(server.pids) - before) * 1000) / echoes }, details: { echoes } };
    } finally {
      await clients?.stop();
      await server.stop();
    }
  },
};
