import type { Redis } from 'ioredis';
import { isDenied } from '../failure.ts';

/** `unknown`: the server does not say. */
export type RedisRole = 'master' | 'replica' | 'sentinel' | 'unknown';

/**
 * Asks a server what it is: INFO replication, or ROLE where that is denied. Rejects with the answer when both are denied, and
 * with whatever else is wrong.
 */
export async function askRole(redis: Redis): Promise<RedisRole> {
  try {
    const said = roleIn(await redis.info('replication'));
    if (said !== 'unknown') return said;
  } catch (error) {
    if (!isDenied(error)) throw error;
    return roleOf(await redis.role());
  }
  // A sentinel has no such section; some proxies have none either, and no ROLE.
  try {
    return roleOf(await redis.role());
  } catch (error) {
    if (isDenied(error)) return 'unknown';
    throw error;
  }
}

function roleIn(info: string): RedisRole {
  return roleNamed(/^role:(\w+)/m.exec(info)?.[1]);
}

function roleOf(reply: unknown): RedisRole {
  const [name]: readonly unknown[] = Array.isArray(reply) ? reply : [];
  return roleNamed(String(name));
}

function roleNamed(name: string | undefined): RedisRole {
  if (name === 'slave' || name === 'replica') return 'replica';
  return name === 'master' || name === 'sentinel' ? name : 'unknown';
}

/** Why a server of this role will not do; undefined when it will. */
export function roleProblem(shownServer: string, role: RedisRole): string | undefined {
  if (role === 'replica') {
    return `Redis at ${shownServer} is a replica: what is published there reaches no other server, so it counts as away until it is the master.`;
  }
  if (role === 'sentinel') {
    return `Redis at ${shownServer} is a sentinel: it is named in redis+sentinel://host:port/master-name.`;
  }
  return undefined;
}
