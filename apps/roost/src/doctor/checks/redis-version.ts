import { notTold, ofServer } from './redis-check.ts';

/** Streams, which recorded events are kept in. */
const OLDEST = 5;

const WHY = 'Recorded events are kept in a stream, which Redis has since version 5.';

/** Others that speak as Redis say which version of it they are like. */
export const redisVersion = ofServer('Redis version', ({ redis: { info } }) => {
  const version = info.get('redis_version');
  const needed = `${OLDEST} or newer`;
  if (version === undefined) return notTold('INFO', needed, WHY);
  const valkey = info.get('valkey_version');
  return {
    status: Number.parseInt(version, 10) >= OLDEST ? 'ok' : 'fail',
    found: valkey === undefined ? version : `Valkey ${valkey}, as Redis ${version}`,
    needed,
    why: WHY,
    fix: [{ line: 'image: redis:7-bookworm', where: 'in a compose file; elsewhere by the package manager' }],
  };
});
