import { startLoad } from '../lib/load.mjs';
import { cpuMs, waitUntilQuiet } from '../lib/processes.mjs';
import { startServer } from '../lib/servers.mjs';

const WARM_UP = 3000;
const HANDSHAKES = 10_000;

/** Server CPU of one handshake with everything that belongs to it: accept, hand-off, upgrade. 256 under way. */
export const handshake = {
  name: 'handshake',
  servers: ['Roost', 'Bun', 'ws cluster', 'ws', 'bare poller'],
  figures: [
    {
      key: 'cpu',
      title: 'server CPU per handshake',
      unit: 'µs',
      digits: 1,
      targets: [
        { peer: 'ws cluster', maxRatio: 0.15 },
        { peer: 'Bun', maxRatio: 1.6 },
      ],
    },
  ],

  async measure(serverName, { connections }) {
    const handshakes = Math.min(HANDSHAKES, connections);
    const server = await startServer(serverName, { app: 'echo', connections: handshakes });
    let load;
    try {
      load = await startLoad(server.url, { connections: handshakes });
      await load.open(Math.min(WARM_UP, handshakes));
      await load.ask({ do: 'close' });
      await waitUntilQuiet(server.pids);
      const before = cpuMs(server.pids);
      const { seconds } = await load.open(handshakes);
      // What is left to do after the last 101 belongs to it.
      await waitUntilQuiet(server.pids);
      const cpu = cpuMs(server.pids) - before;
      await load.assertAllOpen(handshakes);
      return {
        cpu: (cpu * 1000) / handshakes,
        details: { handshakes, perSecond: Math.round(handshakes / seconds) },
      };
    } finally {
      await load?.stop();
      await server.stop();
    }
  },
};
