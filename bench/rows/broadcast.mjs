import { startLoad } from '../lib/load.mjs';
import { cpuMs, waitUntilQuiet } from '../lib/processes.mjs';
import { startRedis } from '../lib/redis.mjs';
import { MAX_IN_ONE_PROCESS, startServer } from '../lib/servers.mjs';
import { summarise } from '../lib/statistics.mjs';

/**
 * @import { Load } from '../lib/load.mjs'
 * @import { RedisServer } from '../lib/redis.mjs'
 * @import { Row } from '../lib/row.mjs'
 */

const WARM_UP = 3;
const PUBLICATIONS = 20;
const PAYLOAD = 'broadcast '.repeat(13).slice(0, 128);

/**
 * Server CPU of one delivery: one PUBLISH of 128 bytes in Redis to all subscribers, one publication after the other.
 * @type {Row}
 */
export const broadcast = {
  name: 'broadcast',
  servers: ['Roost', 'Bun', 'ws cluster', 'ws', 'socket.io', 'bare poller'],
  figures: [
    {
      key: 'cpu',
      title: 'server CPU per broadcast delivery',
      unit: 'µs',
      digits: 2,
      targets: [
        { peer: 'ws cluster', maxRatio: 0.75 },
        { peer: 'ws', maxRatio: 0.75 },
        { peer: 'Bun', maxRatio: 1 },
        { peer: 'bare poller', maxRatio: 1.05 },
      ],
    },
    { key: 'spreadMs', title: 'from PUBLISH to the last of them', unit: 'ms', digits: 0, targets: [] },
    { key: 'perSecond', title: 'deliveries a second', unit: '1/s', digits: 0, targets: [] },
  ],

  async measure(serverName, settings) {
    // The same for every server: what a send costs depends on how many sockets share the caches.
    const connections = Math.min(settings.connections, MAX_IN_ONE_PROCESS);
    const redis = await startRedis();
    let server;
    let load;
    try {
      server = await startServer(serverName, { connections, redisUrl: redis.url });
      load = await startLoad(server.url, { connections, channels: ['news'], ...server.client });
      await load.open(connections);
      await publishAll(redis, load, WARM_UP);
      await load.ask({ do: 'reset' });
      await waitUntilQuiet(server.pids);
      const before = cpuMs(server.pids);
      const spreads = await publishAll(redis, load, PUBLICATIONS);
      await waitUntilQuiet(server.pids);
      const cpu = cpuMs(server.pids) - before;
      await assertExactlyOnce(load, connections);
      const spreadMs = summarise(spreads)?.median ?? Number.NaN;
      return {
        values: {
          cpu: (cpu * 1000) / (PUBLICATIONS * connections),
          spreadMs,
          perSecond: (connections * 1000) / spreadMs,
        },
        details: { connections, deliveries: PUBLICATIONS * connections },
      };
    } finally {
      await load?.stop();
      await server?.stop();
      await redis.stop();
    }
  },
};

/**
 * Answers, for each publication, the milliseconds until the last subscriber had it.
 * @param {RedisServer} redis
 * @param {Load} load
 * @param {number} count
 */
async function publishAll(redis, load, count) {
  const spreads = [];
  for (let i = 1; i <= count; i++) {
    const publishedAt = performance.timeOrigin + performance.now();
    await redis.publish('roost:channel:news', PAYLOAD);
    const report = await load.ask({ do: 'await', messages: i, timeoutSeconds: 30 });
    if (!report.complete)
      throw new Error(`${report.open - report.satisfied} subscribers missed publication ${i}`);
    spreads.push(report.lastMessageAt - publishedAt);
  }
  return spreads;
}

/**
 * @param {Load} load
 * @param {number} connections
 */
async function assertExactlyOnce(load, connections) {
  const { open, fewest, most } = await load.ask({ do: 'report' });
  if (open !== connections || fewest !== PUBLICATIONS || most !== PUBLICATIONS) {
    throw new Error(`${open} subscribers received from ${fewest} to ${most} of ${PUBLICATIONS} publications`);
  }
}
