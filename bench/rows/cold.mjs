import { startLoad } from '../lib/load.mjs';
import { cpuMs, waitUntilQuiet } from '../lib/processes.mjs';
import { MAX_IN_ONE_PROCESS, startServer } from '../lib/servers.mjs';

/** @import { Row } from '../lib/row.mjs' */

/** Connections that are open after each step; the last are as many as a server of one process may have here. */
const STEPS = [500, 2000, MAX_IN_ONE_PROCESS];
const CHANNEL = 'news';
const PAYLOAD_BYTES = 64;
const ECHO_CONNECTIONS = 1000;
const ECHO_SECONDS = 1;
/** Handshakes are looked at in groups of so many, one group after the other. */
const GROUP = 500;
const CALM_P99_MS = 50;

/**
 * The first handshakes of a server that has just said that it is ready, each with one channel: what everybody pays who
 * reconnects after a deploy. No warm-up but that of the server itself: Roost's workers have one before they are ready. The bare
 * poller has no channels.
 * @type {Row}
 */
export const cold = {
  name: 'cold',
  servers: ['Roost', 'Bun', 'ws cluster', 'ws', 'bare poller'],
  figures: [
    {
      key: 'first500',
      title: 'server CPU per handshake, first 500 of a cold server',
      unit: 'µs',
      digits: 1,
      targets: [],
    },
    {
      key: 'first2000',
      title: 'server CPU per handshake, first 2,000 of a cold server',
      unit: 'µs',
      digits: 1,
      targets: [{ peer: 'Bun', maxRatio: 2 }],
    },
    {
      key: 'firstAll',
      title: `server CPU per handshake, first ${MAX_IN_ONE_PROCESS.toLocaleString('en')} of a cold server`,
      unit: 'µs',
      digits: 1,
      targets: [{ peer: 'Bun', maxRatio: 1.5 }],
    },
    { key: 'echo', title: 'server CPU per echo of the first second', unit: 'µs', digits: 1, targets: [] },
    {
      key: 'calmMs',
      title: `until the p99 of ${GROUP} handshakes is below ${CALM_P99_MS} ms, 256 under way`,
      unit: 'ms',
      digits: 0,
      targets: [],
    },
    {
      key: 'readyMs',
      title: 'from the start to the ready line',
      unit: 'ms',
      digits: 0,
      targets: [{ max: 1500 }],
    },
  ],

  async measure(serverName, settings) {
    const connections = Math.min(STEPS.at(-1) ?? 0, settings.connections);
    const startedAt = performance.now();
    const server = await startServer(serverName, { app: 'echo', connections, channel: CHANNEL });
    const readyMs = performance.now() - startedAt;
    let load;
    try {
      load = await startLoad(server.url, { connections, ...server.client });
      await waitUntilQuiet(server.pids);
      const before = cpuMs(server.pids);
      /** @type {number[]} */
      const perHandshake = [];
      let open = 0;
      for (const step of STEPS) {
        const target = Math.min(step, connections);
        await load.open(target - open);
        open = target;
        await waitUntilQuiet(server.pids);
        perHandshake.push(((cpuMs(server.pids) - before) * 1000) / open);
      }
      await load.assertAllOpen(open);
      const beforeEchoes = cpuMs(server.pids);
      const { echoes } = await load.ask({
        do: 'echo',
        connections: Math.min(ECHO_CONNECTIONS, open),
        payloadBytes: PAYLOAD_BYTES,
        seconds: ECHO_SECONDS,
      });
      const [first500 = Number.NaN, first2000 = Number.NaN, firstAll = Number.NaN] = perHandshake;
      return {
        values: {
          first500,
          first2000,
          firstAll,
          echo: ((cpuMs(server.pids) - beforeEchoes) * 1000) / echoes,
          readyMs,
          calmMs: await timeUntilCalm(serverName, connections),
        },
        details: { connections: open, echoes },
      };
    } finally {
      await load?.stop();
      await server.stop();
    }
  },
};

/**
 * On a second server that has just started: how long a storm lasts until one group of handshakes is answered soon.
 * @param {string} serverName
 * @param {number} connections
 */
async function timeUntilCalm(serverName, connections) {
  const server = await startServer(serverName, { app: 'echo', connections, channel: CHANNEL });
  let load;
  try {
    load = await startLoad(server.url, { connections, ...server.client });
    const startedAt = performance.now();
    for (let open = 0; open < connections; open += GROUP) {
      const { handshakeMs } = await load.open(Math.min(GROUP, connections - open));
      if (handshakeMs.p99 < CALM_P99_MS) return performance.now() - startedAt;
      await load.ask({ do: 'reset' });
    }
    return Number.POSITIVE_INFINITY;
  } finally {
    await load?.stop();
    await server.stop();
  }
}
