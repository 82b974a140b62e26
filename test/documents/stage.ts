import { redisIsInstalled, startRedis, startServer } from '@roost/testing';
import type { FarmProcess, RedisFixture } from '@roost/testing';
import { SignJWT } from 'jose';
import { afterAll, beforeAll } from 'vitest';
import { API_KEY, endAfterTest } from '../harness/system.ts';
import { Programs } from './programs.ts';

/** Of the farms that verify tokens. */
export const SECRET = 'only-the-farm-and-its-issuer-know-this';

/** What the snippets of a file run against: a Redis, and a farm on it where there is a redis-server. */
export interface Stage {
  readonly programs: Programs;
  readonly redis: RedisFixture | undefined;
  readonly farm: FarmProcess;
}

/** One for all tests of the file that this is called in: ask for it inside a test. */
export function stageForAll(): () => Stage {
  let stage: Stage | undefined;
  beforeAll(async () => {
    const redis = redisIsInstalled() ? await startRedis() : undefined;
    const farm = await start([], redis === undefined ? {} : { ROOST_REDIS_URL: redis.url });
    stage = { programs: await Programs.create(), redis, farm };
  });
  afterAll(async () => {
    await stage?.farm.stop();
    await stage?.redis?.stop();
    await stage?.programs.remove();
  });
  return () => {
    if (stage === undefined) throw new Error('the stage is set before the first test');
    return stage;
  };
}

/** A farm of one worker, for one test. */
export async function startFarm(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<FarmProcess> {
  const farm = await start(args, env);
  endAfterTest(() => farm.stop());
  return farm;
}

function start(args: readonly string[], env: Readonly<Record<string, string>>): Promise<FarmProcess> {
  return startServer(['--workers', '1', '--drain-ms', '0', '--api-key', API_KEY, ...args], { env });
}

/** One that those farms take, for all channels. */
export function token(claims: Readonly<Record<string, unknown>>): Promise<string> {
  const all = { channels: ['*'], exp: Math.floor(Date.now() / 1000) + 600, ...claims };
  return new SignJWT(all).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(SECRET));
}
