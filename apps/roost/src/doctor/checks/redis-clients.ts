import { redisCommand } from '../fixes.ts';
import { count } from '../units.ts';
import { notTold, ofServer } from './redis-check.ts';

/** A publisher and a subscriber. */
const PER_WORKER = 2;
/** While workers are replaced, for those who publish, and for whoever looks. */
const RESERVE = 32;

const WHY = 'Each worker has two connections, and one that finds no room counts Redis as away.';

export const redisClients = ofServer('Redis clients', ({ redis: { config, info }, workers }) => {
  const max = Number(info.get('maxclients') ?? config?.get('maxclients') ?? Number.NaN);
  const used = Number(info.get('connected_clients') ?? Number.NaN);
  const needed = 2 * PER_WORKER * workers + RESERVE;
  if (Number.isNaN(max) || Number.isNaN(used)) return notTold('INFO', `room for ${count(needed)}`, WHY);
  return {
    status: max - used >= needed ? 'ok' : 'fail',
    found: `${count(max)}, of which ${count(used)} are there`,
    needed: `room for ${count(needed)} more`,
    why: WHY,
    fix: [redisCommand(`CONFIG SET maxclients ${used + 2 * needed}`)],
  };
});
