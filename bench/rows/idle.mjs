import { startLoad } from '../lib/load.mjs';
import { memoryOf, waitUntilQuiet } from '../lib/processes.mjs';
import { startServer } from '../lib/servers.mjs';

const FEW = 2000;

/** User memory of an idle connection, all processes of the server together. No garbage collection is forced. */
export const idle = {
  name: 'idle',
  servers: ['Roost', 'ws cluster'],
  figures: [
    {
      key: 'slope',
      title: 'user memory per idle connection, warmed up',
      unit: 'B',
      digits: 0,
      targets: [{ max: 150 }],
    },
    {
      key: 'first',
      title: 'the same for the first ones, heap growth and all',
      unit: 'B',
      digits: 0,
      targets: [],
    },
  ],

  async measure(serverName, { connections }) {
    const server = await startServer(serverName, { connections });
    let load;
    try {
      // Roost's plain dialect wants a channel; ws passes over the query.
      load = await startLoad(server.url, { connections, channels: ['news'] });
      await waitUntilQuiet(server.pids);
      const empty = memoryOf(server.pids);
      await load.open(connections);
      await waitUntilQuiet(server.pids);
      const first = memoryOf(server.pids);
      await load.ask({ do: 'close' });
      await waitUntilQuiet(server.pids);
      await load.open(FEW);
      await waitUntilQuiet(server.pids);
      const few = memoryOf(server.pids);
      await load.open(connections - FEW);
      await waitUntilQuiet(server.pids);
      await load.assertAllOpen(connections);
      const many = memoryOf(server.pids);
      return {
        slope: (many.own - few.own) / (connections - FEW),
        first: (first.own - empty.own) / connections,
        details: { empty, first, few, many },
      };
    } finally {
      await load?.stop();
      await server.stop();
    }
  },
};
