import { sampleJson, startDeflatingClients } from '../lib/deflating-clients.mjs';
import { cpuMs, waitUntilQuiet } from '../lib/processes.mjs';
import { startRedis } from '../lib/redis.mjs';
import { startServer } from '../lib/servers.mjs';

/**
 * @import { DeflatingClients } from '../lib/deflating-clients.mjs'
 * @import { RedisServer } from '../lib/redis.mjs'
 * @import { Row } from '../lib/row.mjs'
 */

const CONNECTIONS = 5000;
const WARM_UP = 2;
const PUBLICATIONS = 10;

/**
 * Server CPU of one delivery of a publication to subscribers that have all agreed on compression.
 * @type {Row}
 */
export const compressedBroadcast = {
  name: 'compressed-broadcast',
  servers: ['Roost', 'ws'],
  figures: [
    {
      key: 'cpu',
      title: 'server CPU per compressed delivery of 2 KB JSON',
      unit: 'µs',
      digits: 2,
      targets: [{ peer: 'ws', maxRatio: 0.25 }],
    },
  ],

  async measure(serverName) {
    const redis = await startRedis();
    let server;
    let clients;
    try {
      server = await startServer(serverName, {
        connections: CONNECTIONS,
        redisUrl: redis.url,
        compression: true,
      });
      const url = new URL(server.url);
      if (url.pathname === '/plain') url.searchParams.set('channel', 'news');
      clients = await startDeflatingClients(url.href);
      await clients.ask({ do: 'open', count: CONNECTIONS });
      await clients.ask({ do: 'expect', text: sampleJson() });
      await publishAll(redis, clients, WARM_UP);
      await clients.ask({ do: 'expect', text: sampleJson() });
      await waitUntilQuiet(server.pids);
      const before = cpuMs(server.pids);
      await publishAll(redis, clients, PUBLICATIONS);
      await waitUntilQuiet(server.pids);
      const cpu = cpuMs(server.pids) - before;
      const { fewest, messages } = await clients.ask({ do: 'await', count: PUBLICATIONS });
      if (fewest !== PUBLICATIONS || messages !== PUBLICATIONS * CONNECTIONS) {
        throw new Error(`${messages} messages were delivered, to one client only ${fewest}`);
      }
      return {
        values: { cpu: (cpu * 1000) / messages },
        details: { connections: CONNECTIONS, deliveries: messages },
      };
    } finally {
      await clients?.stop();
      await server?.stop();
      await redis.stop();
    }
  },
};

/**
 * @param {RedisServer} redis
 * @param {DeflatingClients} clients
 * @param {number} count
 */
async function publishAll(redis, clients, count) {
  for (let i = 1; i <= count; i++) {
    await redis.publish('roost:channel:news', sampleJson());
    await clients.ask({ do: 'await', count: i });
  }
}
