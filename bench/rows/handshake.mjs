import { startLoad } from '../lib/load.mjs';
import { cpuMs, waitUntilQuiet } from '../lib/processes.mjs';
import { startServer } from '../lib/servers.mjs';

/** @import { Row } from '../lib/row.mjs' */

const WARM_UP_ROUNDS = 3;
const ROUNDS = 2;
const HANDSHAKES = 10_000;

/**
 * Server CPU of one handshake with everything that belongs to it: accept, hand-off, upgrade. 256 under way. Of servers
 * that have compiled what they run often: in the first 20,000 the compilers take as much as the handshakes.
 * @type {Row}
 */
export const handshake = {
  name: 'handshake',
  servers: ['Roost', 'Bun', 'ws cluster', 'ws', 'socket.io', 'bare poller'],
  figures: [
    {
      key: 'cpu',
      title: 'server CPU per handshake, warm',
      unit: 'µs',
      digits: 1,
      targets: [
        { peer: 'ws cluster', maxRatio: 0.15 },
        { peer: 'Bun', maxRatio: 1.1 },
      ],
    },
    { key: 'perSecond', title: 'handshakes a second', unit: '1/s', digits: 0, targets: [] },
  ],

  async measure(serverName, { connections }) {
    const handshakes = Math.min(HANDSHAKES, connections);
    const server = await startServer(serverName, { app: 'echo', connections: handshakes });
    let load;
    try {
      load = await startLoad(server.url, { connections: handshakes, ...server.client });
      let cpu = 0;
      let seconds = 0;
      for (let round = 1; round <= WARM_UP_ROUNDS + ROUNDS; round++) {
        const before = cpuMs(server.pids);
        const report = await load.open(handshakes);
        // What is left to do after the last 101 belongs to it.
        await waitUntilQuiet(server.pids);
        if (round > WARM_UP_ROUNDS) {
          cpu += cpuMs(server.pids) - before;
          seconds += report.seconds;
        }
        await load.assertAllOpen(handshakes);
        await load.ask({ do: 'close' });
        await waitUntilQuiet(server.pids);
      }
      return {
        values: {
          cpu: (cpu * 1000) / (ROUNDS * handshakes),
          perSecond: (ROUNDS * handshakes) / seconds,
        },
        details: { handshakes: ROUNDS * handshakes },
      };
    } finally {
      await load?.stop();
      await server.stop();
    }
  },
};
