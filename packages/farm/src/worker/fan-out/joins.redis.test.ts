import { eventually, redisIsInstalled, startRedis, type RedisFixture } from '@roost/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RoomClient, roomApp } from '../fixtures/rooms.ts';
import { WorkerHarness } from '../fixtures/worker-harness.ts';
import { describeExactJoins } from './joins.contract.ts';

describe.skipIf(!redisIsInstalled())('on Redis (skipped without redis-server)', () => {
  let redis: RedisFixture;

  beforeAll(async () => {
    redis = await startRedis();
  });

  afterAll(() => redis.stop());

  describeExactJoins(() => ({ redisUrl: redis.url }));

  it('members know who is there after their connections to Redis were cut, again and again', async () => {
    const workers: WorkerHarness[] = [];
    for (let index = 0; index < 2; index++) {
      const app = roomApp(() => workers[index]?.context);
      workers.push(await WorkerHarness.start(app, { redisUrl: redis.url }));
    }
    const [first, second] = workers;
    if (first === undefined || second === undefined) expect.unreachable();
    const guests = await Promise.all(
      Array.from(
        { length: 20 },
        async (_, index) => new RoomClient(await (workers[index % 2] ?? first).client()),
      ),
    );
    for (const [index, guest] of guests.slice(0, 10).entries()) guest.join('cut', `user ${index}`);
    await eventually(() =>
      expect(guests.slice(0, 10).map(({ outcomes }) => outcomes.get(1))).toEqual(Array(10).fill('joined')),
    );
    let gone = 0;
    for (const [index, guest] of guests.slice(10).entries()) {
      if (index % 3 === 0) await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
      // Some are refused while Redis is away; who is in must know of the others.
      guest.join('cut', `late ${index}`);
      guests[gone++]?.leave('cut');
      await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(() => expect(guests.every(({ outcomes }) => outcomes.has(1))).toBe(true));
    await eventually(async () => {
      const there = (await first.context?.channelMembers('cut', 100))?.map(({ user }) => user).toSorted();
      const inIt = guests.slice(10).filter(({ outcomes }) => outcomes.get(1) === 'joined');
      expect(there).toHaveLength(inIt.length);
      for (const { members } of inIt) expect([...(members.get('cut') ?? [])].toSorted()).toEqual(there);
    });
    for (const { client } of guests) await client.close();
    for (const worker of workers) await worker.stop();
  });
});
