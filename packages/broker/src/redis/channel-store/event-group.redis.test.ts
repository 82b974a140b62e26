import { redisIsInstalled, startRedis, type RedisFixture } from '@roost/testing';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EventGroup } from './event-group.ts';
import { StoreKeys } from './keys.ts';

describe.skipIf(!redisIsInstalled())('a consumer in the group (skipped without redis-server)', () => {
  let redis: RedisFixture;
  let client: Redis;

  beforeAll(async () => {
    redis = await startRedis();
    client = new Redis(redis.url, { protocol: 2 });
  });

  afterAll(async () => {
    client.disconnect();
    await redis.stop();
  });

  beforeEach(() => client.flushall());

  it('finds all that it has and that is still there, whatever was thrown away meanwhile', async () => {
    const group = new EventGroup(new StoreKeys('roost:'), 'one', 5000);
    await group.enter(client);
    for (let at = 0; at < 450; at++) {
      await client.call('XADD', 'roost:events', '*', 't', 'client_event', 'c', 'room', 'e', String(at));
    }
    const ids = (await group.read(client, 450)).map(({ id }) => id);
    expect(ids).toHaveLength(450);
    // A whole page of them, and one in the middle of another.
    const trimmed = new Set([...ids.slice(0, 120), ids[330]]);
    await client.call('XDEL', 'roost:events', ...[...trimmed].map(String));
    const left = ids.filter((id) => !trimmed.has(id));
    expect((await group.pendingOf(client)).map(({ id }) => id)).toEqual(left);
    // What is gone is pending no longer.
    const [count]: readonly unknown[] = await client.xpending('roost:events', 'roost');
    expect(count).toBe(left.length);
  });
});
