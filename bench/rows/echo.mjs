import { startLoad } from '../lib/load.mjs';
import { cpuMs, waitUntilQuiet } from '../lib/processes.mjs';
import { startServer } from '../lib/servers.mjs';

/** @import { Row } from '../lib/row.mjs' */

const CONNECTIONS = 1000;
const PAYLOAD_BYTES = 64;
/** V8 compiles in each process for a second or two, which is no message's cost. */
const WARM_UP_SECONDS = 3;
const SECONDS = 5;

/**
 * Server CPU of one text message received and sent back, 1,000 connections in a closed loop.
 * @type {Row}
 */
export const echo = {
  name: 'echo',
  servers: ['Roost', 'Bun', 'ws', 'ws cluster', 'socket.io', 'bare poller'],
  figures: [
    {
      key: 'cpu',
      title: `server CPU per ${PAYLOAD_BYTES}-byte echo`,
      unit: 'µs',
      digits: 2,
      targets: [
        { peer: 'ws', maxRatio: 0.45 },
        { peer: 'ws cluster', maxRatio: 0.45 },
        { peer: 'Bun', maxRatio: 0.9 },
        { peer: 'bare poller', maxRatio: 1.15 },
      ],
    },
    { key: 'perSecond', title: 'echoes a second', unit: '1/s', digits: 0, targets: [] },
    { key: 'p50Ms', title: 'their p50, in a closed loop of 1,000', unit: 'ms', digits: 1, targets: [] },
    { key: 'p99Ms', title: 'their p99', unit: 'ms', digits: 1, targets: [] },
  ],

  async measure(serverName) {
    const server = await startServer(serverName, { app: 'echo', connections: CONNECTIONS });
    let load;
    try {
      load = await startLoad(server.url, { connections: CONNECTIONS, ...server.client });
      await load.open(CONNECTIONS);
      const plan = { connections: CONNECTIONS, payloadBytes: PAYLOAD_BYTES };
      await load.ask({ do: 'echo', ...plan, seconds: WARM_UP_SECONDS });
      await waitUntilQuiet(server.pids);
      const before = cpuMs(server.pids);
      const result = await load.ask({ do: 'echo', ...plan, seconds: SECONDS });
      const cpu = cpuMs(server.pids) - before;
      if (result.wrong > 0 || result.unanswered > 0) {
        throw new Error(`${result.wrong} echoes were wrong, ${result.unanswered} messages were not answered`);
      }
      const { echoes, echoesPerSecond, latencyMs } = result;
      return {
        values: {
          cpu: (cpu * 1000) / echoes,
          perSecond: echoesPerSecond,
          p50Ms: latencyMs.p50,
          p99Ms: latencyMs.p99,
        },
        details: { echoes, latencyMs },
      };
    } finally {
      await load?.stop();
      await server.stop();
    }
  },
};
