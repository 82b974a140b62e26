import { memoryOf, waitUntilSettled } from '../lib/processes.mjs';
import { startRedis } from '../lib/redis.mjs';
import { startServer } from '../lib/servers.mjs';

/**
 * @import { Row } from '../lib/row.mjs'
 * @import { ServerOptions } from '../lib/servers.mjs'
 */

/**
 * Memory of a worker that has no connection yet, the larger of two.
 * @type {Row}
 */
export const emptyWorker = {
  name: 'empty-worker',
  servers: ['Roost', 'ws cluster'],
  figures: [
    { key: 'embedded', title: 'PSS of an empty worker', unit: 'MB', digits: 1, targets: [{ max: 20 }] },
    { key: 'own', title: 'of that private, not file-backed', unit: 'MB', digits: 1, targets: [] },
    { key: 'redis', title: 'PSS of an empty worker, Redis', unit: 'MB', digits: 1, targets: [{ max: 20 }] },
    { key: 'redisOwn', title: 'of that private, not file-backed, Redis', unit: 'MB', digits: 1, targets: [] },
  ],

  async measure(serverName) {
    const embedded = await measureWorkers(serverName, {});
    const redis = await startRedis();
    try {
      const withRedis = await measureWorkers(serverName, { redisUrl: redis.url });
      return {
        values: {
          embedded: embedded.pss,
          own: embedded.own,
          redis: withRedis.pss,
          redisOwn: withRedis.own,
        },
      };
    } finally {
      await redis.stop();
    }
  },
};

/**
 * MB of the larger worker.
 * @param {string} serverName
 * @param {ServerOptions} options
 */
async function measureWorkers(serverName, options) {
  const server = await startServer(serverName, options);
  try {
    await waitUntilSettled(server.pids);
    const memories = server.workerPids.map((pid) => memoryOf([pid]));
    return {
      pss: Math.max(...memories.map(({ pss }) => pss)) / 1e6,
      own: Math.max(...memories.map(({ own }) => own)) / 1e6,
    };
  } finally {
    await server.stop();
  }
}
