import { BigFarm } from '../lib/big-farm.mjs';
import { waitForConntrack } from '../lib/machine.mjs';
import { waitUntilSettled } from '../lib/processes.mjs';

/** @import { Row } from '../lib/row.mjs' */

const CONNECTIONS = 100_000;
const WORKERS = 6;
/** Asked for when nobody asks for fewer. */
const USUAL_CONNECTIONS = 30_000;

/**
 * A small sister of `npm run bench:million`: one farm, each connection in a channel of its own and one of all, on Redis.
 * @type {Row}
 */
export const hundredThousand = {
  name: 'hundred-thousand',
  servers: ['Roost'],
  figures: [
    {
      key: 'echoP99Ms',
      title: 'echo p99 while 100,000 get broadcasts',
      unit: 'ms',
      digits: 1,
      targets: [{ max: 30 }],
    },
    { key: 'aloneP99Ms', title: 'the same without broadcasts', unit: 'ms', digits: 1, targets: [] },
    {
      key: 'broadcastMs',
      title: 'from PUBLISH to the last of 100,000',
      unit: 'ms',
      digits: 0,
      targets: [],
    },
    { key: 'connectSeconds', title: 'time to connect 100,000', unit: 's', digits: 1, targets: [] },
    {
      key: 'bytes',
      title: 'user memory of each, two channels, heap growth and all',
      unit: 'B',
      digits: 0,
      targets: [],
    },
  ],

  async measure(_serverName, settings) {
    const connections = Math.round(CONNECTIONS * Math.min(1, settings.connections / USUAL_CONNECTIONS));
    await waitForConntrack(connections / 2);
    const farm = await BigFarm.start({ connections, workers: WORKERS });
    try {
      await waitUntilSettled(farm.pids);
      const empty = farm.memory();
      const { seconds, stoppedBy } = await farm.open();
      if (farm.failedCount > 0) throw new Error(`connections failed to open: ${JSON.stringify(farm.failed)}`);
      if (stoppedBy !== undefined) throw new Error(`stopped by ${stoppedBy}`);
      await waitUntilSettled(farm.pids);
      const full = farm.memory();
      const alone = await farm.echo();
      const broadcastMs = await farm.broadcast();
      const meanwhile = await farm.echoDuringBroadcasts(broadcastMs);
      await farm.assertExactlyOnce();
      return {
        values: {
          echoP99Ms: meanwhile.latencyMs.p99,
          aloneP99Ms: alone.latencyMs.p99,
          broadcastMs,
          connectSeconds: seconds,
          bytes: (full.farm.own - empty.farm.own) / connections,
        },
        details: { connections, workers: WORKERS, meanwhile, slab: full.slabBytes - empty.slabBytes },
      };
    } finally {
      await farm.stop();
    }
  },
};
